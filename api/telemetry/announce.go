package telemetry

import (
	"net/url"
	"path/filepath"

	"github.com/picket-nsm/picket/host/status"
)

// The kinds of endpoints, as the notes in the nodes' folders have them: so nodes
// register themselves, and a dead one is known by its pid.
const (
	KindMachine = "metrics"              // carries all nodes of the machine
	KindNode    = status.KindNodeMetrics // carries the node that serves it
)

// announced is the target of a node whose process has this pid, or "".
func announced(spool, kind, node string, pid int) string {
	d, err := status.ReadDoor(filepath.Join(spool, node), kind)
	if err != nil || d.PID != pid {
		return ""
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return ""
	}
	return u.Host
}
