// Package netns gives tests network namespaces with cables between them, so
// that live capture is tested on a machine without spare network cards. It
// needs root and the program ip, and skips the test without them.
//
// It owns what it makes and takes it away at the end of the test. It never
// touches an interface of the machine.
package netns

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/picket-nsm/picket/internal/testenv"
)

// NS is a network namespace with its loopback up.
type NS struct {
	Name string
	file *os.File
}

// New makes a namespace, which is removed when the test ends.
func New(t testing.TB) *NS {
	t.Helper()
	testenv.NeedRoot(t)
	testenv.NeedTool(t, "ip")
	n := &NS{Name: fmt.Sprintf("picket-%08x", rand.Uint32())}
	run(t, "ip", "netns", "add", n.Name)
	t.Cleanup(func() { run(t, "ip", "netns", "del", n.Name) })
	f, err := os.Open(filepath.Join("/run/netns", n.Name))
	if err != nil {
		t.Fatalf("open namespace %s: %v", n.Name, err)
	}
	n.file = f
	t.Cleanup(func() { f.Close() })
	n.IP(t, "link", "set", "lo", "up")
	return n
}

// IP runs the program ip in the namespace: n.IP(t, "link", "set", "v0", "up").
func (n *NS) IP(t testing.TB, args ...string) {
	t.Helper()
	run(t, "ip", append([]string{"-n", n.Name}, args...)...)
}

// Veth lays a cable from a to b: an interface in each, up, without IPv6 and
// with the offloads off that would merge packets or leave out checksums.
func Veth(t testing.TB, a *NS, nameA string, b *NS, nameB string) {
	t.Helper()
	for _, end := range []struct {
		ns   *NS
		name string
	}{{a, nameA}, {b, nameB}} {
		end.ns.quiet(t)
	}
	a.IP(t, "link", "add", nameA, "type", "veth", "peer", "name", nameB, "netns", b.Name)
	a.IP(t, "link", "set", nameA, "up")
	b.IP(t, "link", "set", nameB, "up")
}

// quiet keeps the kernel from sending router solicitations and the like on new
// interfaces: tests count packets.
func (n *NS) quiet(t testing.TB) {
	t.Helper()
	err := n.Do(func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	})
	if err != nil {
		t.Logf("no IPv6 to switch off in %s: %v", n.Name, err)
	}
}

// Do runs f in the namespace, on a thread of its own that ends with f. Sockets
// opened and processes started by f stay in the namespace; goroutines started
// by f do not run in it.
func (n *NS) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked, so the thread is not used for anything else.
		runtime.LockOSThread()
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter namespace %s: %w", n.Name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// Command returns a command that will run in the namespace.
func (n *NS) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}
