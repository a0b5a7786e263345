//go:build !linux

package native

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/picket-nsm/picket/node"
)

// handOver puts the spec into a file that has no name any more.
func handOver(s node.Spec) (*os.File, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "picket-spec-") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.Seek(0, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func startPinned(cmd *exec.Cmd, cpus []int) error {
	if len(cpus) > 0 {
		return fmt.Errorf("pin to CPUs %v: not possible on %s; leave pin out", cpus, runtime.GOOS)
	}
	return cmd.Start()
}
