package afpacket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/picket-nsm/picket/internal/netns"
	"github.com/picket-nsm/picket/internal/trafficgen"
)

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The interface is deleted or goes down under the reader: what is in the ring
// comes out, then a clear error, and nobody spins meanwhile.
func TestGone(t *testing.T) {
	for _, c := range []struct {
		cmd  string
		want error
	}{{"del", ErrGone}, {"set v1 down", ErrDown}} {
		t.Run(strings.Fields(c.cmd)[0], func(t *testing.T) {
			n := newBench(t)
			g := n.group(t, 2, Options{})
			src := source(t, g, 0, Resume{})
			other := source(t, g, 1, Resume{})
			sent := send(t, n.sender(t), trafficgen.Config{Flows: 100}, 0)
			args := strings.Fields(c.cmd)
			if len(args) == 1 {
				args = append(args, "v1")
			}
			n.b.IP(t, append([]string{"link"}, args...)...)
			start, used := time.Now(), cpu()
			var got int
			var err error
			for err == nil && time.Since(start) < 20*time.Second {
				f, e := src.Next(context.Background())
				got, err = got+len(f), e
			}
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			t.Logf("%v (after %v)", err, time.Since(start))
			if busy := cpu() - used; busy > time.Second {
				t.Errorf("%v of processor time while waiting", busy)
			}
			other.Drain()
			for {
				f, err := other.Next(context.Background())
				if err != nil {
					break
				}
				got += len(f)
			}
			if uint64(got) != sent.Packets {
				t.Errorf("%d packets of %d came out", got, sent.Packets)
			}
			src.Close()
			if _, err := FromFD(dup(t, g, 0), g.Ring(), Resume{}); !errors.Is(err, c.want) {
				t.Errorf("successor: %v", err)
			}
		})
	}
}

// A short while down, as when a card is reset, is waited for.
func TestDownAndUp(t *testing.T) {
	n := newBench(t)
	g := n.group(t, 2, Options{})
	r := []*reader{read(source(t, g, 0, Resume{})), read(source(t, g, 1, Resume{}))}
	s := n.sender(t)
	one := send(t, s, trafficgen.Config{Flows: 100}, 0)
	n.b.IP(t, "link", "set", "v1", "down")
	time.Sleep(300 * time.Millisecond)
	n.b.IP(t, "link", "set", "v1", "up")
	two := send(t, s, trafficgen.Config{Flows: 100, First: 100}, 0)
	settle(t, one.Packets+two.Packets, 0, g, r...)
	oneEach(t, r...)
}

// A worker that ends in order leaves nothing behind and loses nothing: its
// successor gets the packets that follow.
func TestDrain(t *testing.T) {
	n := newBench(t)
	g := n.group(t, 1, Options{})
	done := make(chan trafficgen.Sent)
	s := n.sender(t)
	go func() { done <- send(t, s, trafficgen.Config{Flows: 20000}, 100_000) }()
	var sent trafficgen.Sent
	var total, dropped uint64
	lives := 0
	for running := true; running; lives++ {
		src := source(t, g, 0, Resume{Dropped: dropped})
		r := &reader{src: src, done: make(chan struct{}), flows: map[flowKey]int{}, last: total}
		go r.run()
		select {
		case sent = <-done:
			running = false
			g.Stop()
		case <-time.After(50 * time.Millisecond):
		}
		r.drain(t)
		total += r.packets
		dropped += src.Stats().Dropped
		src.Close()
	}
	if total+dropped != sent.Packets {
		t.Errorf("sent %d, read %d + dropped %d in %d lives", sent.Packets, total, dropped, lives)
	}
	t.Logf("%d packets in %d lives, %d dropped", total, lives, dropped)
}

// Errors say what to do.
func TestErrors(t *testing.T) {
	n := netns.New(t)
	n.IP(t, "link", "add", "eth0", "type", "veth", "peer", "name", "far", "netns", netns.New(t).Name)
	for _, c := range []struct {
		iface   string
		workers int
		o       Options
		want    string
	}{
		{"eht0", 1, Options{}, "capture eht0: no such interface; did you mean eth0? (this machine has lo, eth0)"},
		{"ens3", 1, Options{}, "capture ens3: no such interface (this machine has lo, eth0)"},
		{"af_packet::eth0", 1, Options{}, "capture eth0: interface is down; bring it up with: ip link set eth0 up"},
		{"pf_ring::eth0", 1, Options{}, `capture pf_ring::eth0: unknown packet source "pf_ring", have af_packet`},
		{"lo", 0, Options{}, "capture lo: 0 workers on one interface: have 1 to 256"},
		{"lo", 1, Options{RingMiB: -1}, "capture lo: ring of -1 MiB: have 1 to 16384"},
		{"lo", 2, Options{Balance: "x"}, `capture lo: join fanout group: balance "x": have flow, hosts`},
	} {
		err := n.Do(func() error { _, err := OpenGroup(c.iface, c.workers, c.o); return err })
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.iface, err, c.want)
		}
	}
	if err := explain(unix.ENOMEM, doRing, 512, 16); err.Error() != "allocate ring of 512 MiB for each of 16 workers: cannot allocate memory; lower capture.ring or the number of workers" {
		t.Error(err)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	fd, _ := unix.Dup(int(f.Fd()))
	f.Close()
	if _, err := FromFD(uintptr(fd), Ring{Interface: "eth0", BlockSize: blockSize, Blocks: 1}, Resume{}); err == nil || !strings.Contains(err.Error(), "is not a capture socket") {
		t.Errorf("descriptor of a file: %v", err)
	}
}

// Without the capability the error says how to get it.
func TestUnprivileged(t *testing.T) {
	netns.New(t) // for its skips
	exe, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "picket-unprivileged-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	path := dir + "/test"
	if err := os.WriteFile(path, exe, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "AFPACKET_TEST=unprivileged")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	want := fmt.Sprintf("not permitted to capture: open socket needs CAP_NET_RAW; run as root, or once: setcap cap_net_raw+ep %s", path)
	lines := strings.Split(string(out), "\n")
	if err != nil || len(lines) < 3 || lines[0] != "capture lo: "+want || lines[1] != "true" || lines[2] != "[{fail capture lo: "+want+"}]" {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestCheck(t *testing.T) {
	n := newBench(t)
	check := func(iface string) (found []Finding) {
		n.b.Do(func() error { found = Check(iface); return nil })
		return
	}
	has := func(found []Finding, l Level, text string) {
		t.Helper()
		for _, f := range found {
			if f.Level == l && strings.Contains(f.Text, text) {
				return
			}
		}
		t.Errorf("no %s %q in %v", l, text, found)
	}
	f := check("af_packet::v1")
	has(f, OK, "v1 is up, MTU 1500")
	has(f, OK, "v1 allows promiscuous mode")
	has(f, Warn, "ethtool -K v1 tso off")
	has(check("lo"), OK, "loopback")
	has(check("v2"), Fail, "did you mean v1?")
	n.a.IP(t, "link", "set", "v0", "down")
	has(check("v1"), Warn, "no carrier")
	n.b.IP(t, "link", "set", "v1", "down")
	has(check("v1"), Fail, "ip link set v1 up")
	var ifi *net.Interface
	n.b.Do(func() (err error) { ifi, err = net.InterfaceByName("v1"); return })
	if ifi == nil || ifi.Flags&net.FlagUp != 0 {
		t.Errorf("Check changed the interface: %+v", ifi)
	}
}

func TestName(t *testing.T) {
	for in, want := range map[string]string{"eth0": "eth0", "af_packet::eth0": "eth0", "af_packet::eth0.5": "eth0.5"} {
		if got, err := Name(in); got != want || err != nil {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	if _, err := Name("myricom::eth0"); err == nil {
		t.Error("unknown prefix accepted")
	}
}
