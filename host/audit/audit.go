// Package audit is the record of who operated a cluster: one file in its spool,
// one line of JSON for each operation and each refusal.
//
// It stands beside whoever decides: the supervisor writes what comes to it by its
// socket, a door what it refuses, does itself or could not pass on. Each line is
// one append to a file that is opened for it, so several processes write the same
// file, and it may be moved away at any time. It owns no descriptor between two
// lines, never changes or removes a line, and decides nothing.
package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// File is the name of the record in a spool. docs/formats/audit.md
const File = "audit.jsonl"

// mode lets the spool's owner write and its group read.
const mode = 0o640

// Outcomes of an operation.
const (
	Done    = "done"    // it was done, or is under way
	Failed  = "failed"  // it was tried; Error says what was wrong
	Refused = "refused" // it was not tried; Error says why
)

// Actor is who asks, as far as it is known.
type Actor struct {
	Who  string `json:"who"`            // name in the acl file, or of the user on this machine; "" is a stranger
	Role string `json:"role,omitempty"` // read, operate; owner: of the control socket
	From string `json:"from"`           // ADDRESS:PORT, or unix pid N
	Via  string `json:"via,omitempty"`  // socket, control, web, signal, command
}

// Entry is one line.
type Entry struct {
	Time time.Time `json:"ts"`
	Actor
	Op      string `json:"op"`           // up, stop, kill, restart ...; request, for what was refused before it was known
	On      string `json:"on,omitempty"` // node; empty: the cluster
	Outcome string `json:"outcome"`
	What    string `json:"what,omitempty"` // what it changed, where op and on do not say it
	Error   string `json:"error,omitempty"`
	More    int    `json:"more,omitempty"` // so many alike before, which have no line
}

// Log writes to the record of one spool. The zero value writes nothing. It may be
// used by several goroutines.
type Log struct {
	path string
	now  func() time.Time
}

// New is the record of a spool. now is the wall clock; nil: time.Now.
func New(spool string, now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	return &Log{path: filepath.Join(spool, File), now: now}
}

// Path is where the record is.
func (l *Log) Path() string { return l.path }

// Ready says whether a line could be written now. What must not happen unseen
// asks first.
func (l *Log) Ready() error {
	if l == nil || l.path == "" {
		return nil
	}
	f, err := l.open()
	if err != nil {
		return err
	}
	return f.Close()
}

func (l *Log) open() (*os.File, error) {
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, mode)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	return f, nil
}

// Add writes a line, with the time of now where it has none, and has it on the
// disk before it returns.
func (l *Log) Add(e Entry) error {
	if l == nil || l.path == "" {
		return nil
	}
	if e.Time.IsZero() {
		e.Time = l.now()
	}
	e.Time = e.Time.UTC()
	for _, s := range []*string{&e.Who, &e.Role, &e.From, &e.Via, &e.Op, &e.On, &e.Outcome, &e.What, &e.Error} {
		*s = clip(*s)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	f, err := l.open()
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n')) // whole, by one call: lines of several writers do not mix
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	return nil
}

// maxText bounds what a stranger can put into a line.
const maxText = 300

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "..."
}
