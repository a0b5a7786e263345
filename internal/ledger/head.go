package ledger

import (
	"fmt"
	"os"
	"time"
)

// Head is the beginning of a ledger: whose it is, and whether that one is well.
type Head struct {
	Node      string
	Role      string
	Pid       int
	Start     uint64
	State     State
	Heartbeat time.Time
}

// ReadHead reads only the head of the newest ledger in a node's folder: cheap
// enough to be asked many times a second.
func ReadHead(dir string) (Head, error) {
	paths, err := Lives(dir)
	if err != nil {
		return Head{}, err
	}
	if len(paths) == 0 {
		return Head{}, fmt.Errorf("read ledger %s: %w", dir, os.ErrNotExist)
	}
	path := paths[len(paths)-1]
	f, err := os.Open(path)
	if err != nil {
		return Head{}, fmt.Errorf("read ledger: %w", err)
	}
	defer f.Close()
	mem := make([]byte, offRole+lenRole)
	if _, err := f.ReadAt(mem, 0); err != nil || string(mem[:len(magic)]) != magic {
		return Head{}, fmt.Errorf("read ledger %s: %w: no head", path, ErrCorrupt)
	}
	return Head{
		Node: text(mem[offNode : offNode+lenNode]), Role: text(mem[offRole : offRole+lenRole]),
		Pid: int(u32(mem, offPid)), Start: u64(mem, offStart), State: State(u32(mem, offState)),
		Heartbeat: nanos(u64(mem, offHeartbeat)),
	}, nil
}
