package native

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// secret returns memory that only its descriptor leads to.
func secret() (*os.File, error) {
	fd, err := unix.MemfdCreate("picket-spec", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "spec"), nil
}

// startPinned starts cmd on the given CPUs. Affinity passes from the thread
// that forks, so that no thread of the child ever runs elsewhere.
func startPinned(cmd *exec.Cmd, cpus []int) error {
	if len(cpus) == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var was, want unix.CPUSet
	if err := unix.SchedGetaffinity(0, &was); err != nil {
		return fmt.Errorf("read CPU affinity: %w", err)
	}
	for _, c := range cpus {
		want.Set(c)
	}
	if err := unix.SchedSetaffinity(0, &want); err != nil {
		return fmt.Errorf("pin to CPUs %v: %w", cpus, err)
	}
	err := cmd.Start()
	if e := unix.SchedSetaffinity(0, &was); e != nil && err == nil {
		// Better a thread on few CPUs than a node without a supervisor.
		runtime.LockOSThread()
	}
	return err
}
