package telemetry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// announcement is the note of an open endpoint that a process leaves in its
// node's folder: so nodes register themselves, and a dead one is known by its pid.
type announcement struct {
	Kind    string `json:"kind"`
	Node    string `json:"node"`
	PID     int    `json:"pid"`
	URL     string `json:"url,omitempty"`
	Trouble string `json:"trouble,omitempty"` // why it is not open
}

// The kinds of endpoints.
const (
	KindMachine = "metrics"      // carries all nodes of the machine
	KindNode    = "metrics-node" // carries the node that serves it
)

func announcedFile(dir, kind string) string { return filepath.Join(dir, "door."+kind+".json") }

// Announce notes in a node's folder that this process serves metrics at url, or
// with an empty url, what trouble keeps it from that.
func Announce(dir, kind, node, url, trouble string) error {
	text, err := json.Marshal(announcement{Kind: kind, Node: node, PID: os.Getpid(), URL: url, Trouble: trouble})
	if err != nil {
		return fmt.Errorf("announce metrics: %w", err)
	}
	path := announcedFile(dir, kind)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("announce metrics: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("announce metrics: %w", err)
	}
	return nil
}

// Withdraw notes that the endpoint is closed. The port stays noted for LastPort.
func Withdraw(dir, kind string) error {
	a, err := readAnnouncement(dir, kind)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("withdraw metrics: %w", err)
	}
	a.PID = 0
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("withdraw metrics: %w", err)
	}
	if err := os.WriteFile(announcedFile(dir, kind), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("withdraw metrics: %w", err)
	}
	return nil
}

// LastPort is the port of an earlier life in this folder, or 0.
func LastPort(dir, kind string) int {
	a, err := readAnnouncement(dir, kind)
	if err != nil {
		return 0
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		return 0
	}
	var port int
	if _, err := fmt.Sscanf(u.Port(), "%d", &port); err != nil || port > 65535 {
		return 0
	}
	return port
}

// announced is the target of a node whose process has this pid, or "".
func announced(spool, kind, node string, pid int) string {
	a, err := readAnnouncement(filepath.Join(spool, node), kind)
	if err != nil || a.PID != pid {
		return ""
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

func readAnnouncement(dir, kind string) (a announcement, err error) {
	text, err := os.ReadFile(announcedFile(dir, kind))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(text, &a)
}
