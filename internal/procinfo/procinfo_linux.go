package procinfo

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ticksPerSecond is USER_HZ, which Linux fixes at 100 towards user space.
const ticksPerSecond = 100

// Identity tells a process from all others that had or will have its number:
// start time in ticks since boot, and the boot. Zombies count as gone.
func Identity(pid int) (string, error) {
	f, err := stat(pid)
	if err != nil {
		return "", err
	}
	if f[0] == "Z" || f[0] == "X" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return f[19] + "@" + string(bytes.TrimSpace(boot)), nil
}

// Folder is where a process works.
func Folder(pid int) (string, error) { return os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)) }

// Of reads what a process uses. It may block for as long as the kernel holds
// the process's memory map; ask from a goroutine of your own where that matters.
func Of(pid int) (Usage, error) {
	f, err := stat(pid)
	if err != nil {
		return Usage{}, err
	}
	utime, _ := strconv.ParseInt(f[11], 10, 64)
	stime, _ := strconv.ParseInt(f[12], 10, 64)
	vsz, _ := strconv.ParseInt(f[20], 10, 64)
	rss, _ := strconv.ParseInt(f[21], 10, 64)
	u := Usage{
		State: f[0],
		CPU:   time.Duration(utime+stime) * (time.Second / ticksPerSecond),
		User:  time.Duration(utime) * (time.Second / ticksPerSecond),
		VSZ:   vsz,
		RSS:   rss * int64(os.Getpagesize()),
	}
	// Only the owner and root may read these two.
	if dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
		names, _ := dir.Readdirnames(-1)
		u.Files = len(names)
		_ = dir.Close()
	}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		u.PSS = kilobytes(text, "Pss:")
	}
	return u, nil
}

// kilobytes finds "Key:   123 kB" and returns bytes.
func kilobytes(text []byte, key string) int64 {
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) >= 2 && string(f[0]) == key {
			n, _ := strconv.ParseInt(string(f[1]), 10, 64)
			return n * 1024
		}
	}
	return 0
}

// stat returns the fields of /proc/PID/stat after the name, which may hold
// blanks and brackets: state first.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return nil, errors.New("stat without a name")
	}
	var out []string
	for _, f := range bytes.Fields(text[end+1:]) {
		out = append(out, string(f))
	}
	if len(out) < 22 {
		return nil, errors.New("stat too short")
	}
	return out, nil
}
