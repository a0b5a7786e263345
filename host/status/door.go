package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/picket-nsm/picket/host/supervisor"
)

// Door is a way in from outside, as the process that holds it tells of it, in a
// file in its folder.
type Door struct {
	Kind    string `json:"kind"` // websocket
	Node    string `json:"node"`
	PID     int    `json:"pid"`
	URL     string `json:"url,omitempty"`     // empty: it is not open
	Trouble string `json:"trouble,omitempty"` // why; with a URL: what is wrong though it is open
	Clients int    `json:"clients"`           // now; the reader fills it in
}

// DoorFile is the note of a door; dir and kind may be patterns.
func DoorFile(dir, kind string) string { return filepath.Join(dir, "door."+kind+".json") }

// WriteDoor notes a door in its node's folder.
func WriteDoor(dir string, d Door) error {
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("note door %s: %w", d.Kind, err)
	}
	tmp := DoorFile(dir, d.Kind) + ".new"
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("note door %s: %w", d.Kind, err)
	}
	if err := os.Rename(tmp, DoorFile(dir, d.Kind)); err != nil {
		return fmt.Errorf("note door %s: %w", d.Kind, err)
	}
	return nil
}

// CloseDoor notes that a door is closed. Its URL stays, for LastPort.
func CloseDoor(dir, kind string) error {
	d, err := ReadDoor(dir, kind)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note door %s: %w", kind, err)
	}
	d.PID = 0
	return WriteDoor(dir, d)
}

// LastPort is the port of a door in an earlier life of its node, or 0: one that
// was chosen free is kept, so that clients find it again.
func LastPort(dir, kind string) int {
	d, err := ReadDoor(dir, kind)
	if err != nil {
		return 0
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return 0
	}
	return int(port)
}

// ReadDoor reads the note of a door in its node's folder. Who left it may be dead.
func ReadDoor(dir, kind string) (d Door, err error) {
	text, err := os.ReadFile(DoorFile(dir, kind))
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal(text, &d)
}

// Doors reads the notes of a node's folder that the process with this id has
// left there. Others are of earlier lives.
func Doors(dir string, pid int) []Door {
	files, err := filepath.Glob(DoorFile(dir, "*"))
	if err != nil {
		return nil
	}
	var out []Door
	for _, f := range files {
		text, err := os.ReadFile(f)
		var d Door
		if err == nil && json.Unmarshal(text, &d) == nil && d.PID == pid {
			out = append(out, d)
		}
	}
	return out
}

// doors adds the doors of a node that runs.
func (s *Status) doors(spool string, n Node, b *books) {
	if n.PID == 0 {
		return
	}
	for _, d := range Doors(filepath.Join(spool, n.Name), n.PID) {
		if d.Kind == KindNodeMetrics && d.Trouble == "" {
			continue // each node has one: /services.json lists them
		}
		if l := b.last[n.Name]; l != nil && l.Pid == n.PID {
			d.Clients = int(l.Counters[DoorClients(d.Kind)])
		}
		s.Doors = append(s.Doors, d)
	}
}

// ClosedDoors are the doors of a spool's cluster that do not open, or with which
// something else is wrong, as the processes that hold them tell of it.
func ClosedDoors(spool string) []Door {
	st, err := supervisor.LoadState(spool)
	if err != nil {
		return nil // not begun yet, or about to be told of by others
	}
	var out []Door
	for _, n := range st.Nodes {
		if n.Handle.PID == 0 || !alive(n.Handle) {
			continue
		}
		for _, d := range Doors(filepath.Join(spool, n.Name), n.Handle.PID) {
			if d.Trouble != "" {
				out = append(out, d)
			}
		}
	}
	return out
}

// KindNodeMetrics is a node's own endpoint for metrics.
const KindNodeMetrics = "metrics-node"

// DoorClients is the name of the counter of a door's clients.
func DoorClients(kind string) string { return kind + ".clients" }

// doorWebSocket is the kind of door whose clients stay.
const doorWebSocket = "websocket"

// String is a door in one line.
func (d Door) String() string {
	if d.URL == "" {
		return fmt.Sprintf("! %s of %s is closed: %s", d.Kind, d.Node, d.Trouble)
	}
	if d.Trouble != "" {
		return fmt.Sprintf("! %s of %s  %s: %s", d.Kind, d.Node, d.URL, d.Trouble)
	}
	if d.Kind != doorWebSocket {
		return fmt.Sprintf("%s of %s  %s", d.Kind, d.Node, d.URL)
	}
	clients := fmt.Sprintf("%d clients", d.Clients)
	if d.Clients == 1 {
		clients = "1 client"
	}
	return fmt.Sprintf("%s of %s  %s  %s", d.Kind, d.Node, d.URL, clients)
}
