package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/procinfo"
)

// lively is how old the heartbeat of a stray may be where the system does not
// tell us in which folder it works.
const lively = time.Minute

// Strays are live nodes of a spool that a state does not know: their own
// ledgers tell of them. They are left where the state was lost or damaged, or
// a supervisor was killed between a start and its note of it.
func Strays(dir string, st State) []NodeState {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	entries, err := os.ReadDir(abs)
	if err != nil {
		return nil
	}
	var out []NodeState
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		folder := filepath.Join(abs, e.Name())
		h, err := ledger.ReadHead(folder)
		if err != nil || h.Node != e.Name() || h.State == ledger.Stopped || h.Pid <= 0 {
			continue
		}
		if slices.ContainsFunc(st.Nodes, func(n NodeState) bool { return n.Handle.PID == h.Pid }) {
			continue
		}
		id, err := procinfo.Identity(h.Pid)
		if err != nil {
			continue
		}
		// A number that was used again is another process, and works elsewhere.
		at, err := procinfo.Folder(h.Pid)
		if err != nil && time.Since(h.Heartbeat) < lively {
			at, err = folder, nil
		}
		if err == nil && at == folder {
			out = append(out, NodeState{Name: h.Node, Role: h.Role, Phase: Ready, Handle: engine.Handle{PID: h.Pid, Start: id}})
		}
	}
	return out
}
