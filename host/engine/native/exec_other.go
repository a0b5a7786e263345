//go:build !linux

package native

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// secret returns a file that has no name any more.
func secret() (*os.File, error) {
	f, err := os.CreateTemp("", "picket-spec-") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
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
