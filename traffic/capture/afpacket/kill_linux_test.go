package afpacket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/picket-nsm/picket/internal/trafficgen"
)

// The test binary is also the worker of these tests.
func TestMain(m *testing.M) {
	switch os.Getenv("AFPACKET_TEST") {
	case "worker":
		if err := worker(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "unprivileged":
		_, err := OpenGroup("lo", 1, Options{})
		fmt.Println(err)
		fmt.Println(errors.Is(err, ErrPermission))
		fmt.Println(Check("lo"))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// note is what a worker of the tests keeps in a mapped file that survives it:
// how many packets it has seen, the number of the last, and which flows. Count
// and number change together, by the generation.
type note []byte

const noteFlows = 64

func openNote(path string, flows int) (note, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(int64(noteFlows + flows)); err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, noteFlows+flows, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (n note) get() (count, seq uint64) {
	gen := atomic.LoadUint32(u32(n, 0))
	return *u64(n, 8+int(gen&1)*16), *u64(n, 16+int(gen&1)*16)
}

func (n note) set(count, seq uint64) {
	gen := atomic.LoadUint32(u32(n, 0)) + 1
	atomic.StoreUint64(u64(n, 8+int(gen&1)*16), count)
	atomic.StoreUint64(u64(n, 16+int(gen&1)*16), seq)
	atomic.StoreUint32(u32(n, 0), gen)
}

func worker() error {
	var ring Ring
	if err := json.Unmarshal([]byte(os.Getenv("AFPACKET_RING")), &ring); err != nil {
		return err
	}
	n, err := openNote(os.Getenv("AFPACKET_NOTE"), 1<<20)
	if err != nil {
		return err
	}
	count, seq := n.get()
	s, err := FromFD(3, ring, Resume{Seq: seq})
	if err != nil {
		return err
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, unix.SIGTERM)
	go func() {
		<-term
		s.Drain()
	}()
	fmt.Println("ready")
	for {
		frames, err := s.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return s.Close()
		}
		if err != nil {
			return err
		}
		for i := range frames {
			b := frames[i].Data
			if len(b) > 34 {
				o := 26 // the originator's address is the flow's number
				if b[o] != 10 {
					o = 30
				}
				n[noteFlows+int(b[o+1])<<16+int(b[o+2])<<8+int(b[o+3])] = 1
			}
			count++
			if frames[i].Seq != count {
				return fmt.Errorf("packet %d has number %d", count, frames[i].Seq)
			}
			n.set(count, frames[i].Seq)
		}
	}
}

type life struct {
	cmd  *exec.Cmd
	note note
}

// start starts a worker on socket i and waits until it reads.
func start(t *testing.T, g *Group, i int, dir string) life {
	t.Helper()
	path := filepath.Join(dir, fmt.Sprint(i))
	n, err := openNote(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	ring, _ := json.Marshal(g.Ring())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "AFPACKET_TEST=worker", "AFPACKET_RING="+string(ring), "AFPACKET_NOTE="+path)
	cmd.ExtraFiles = g.Files()[i : i+1]
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatalf("worker %d did not start: %v", i, err)
	}
	return life{cmd, n}
}

// One of four workers is killed again and again under load. Its successors go
// on with its socket: the sum of what all lives have noted and of what the
// kernel counted is what was sent, and no flow moves to another worker.
func TestKill(t *testing.T) {
	n := newBench(t)
	g := n.group(t, 4, Options{RingMiB: 8})
	dir := t.TempDir()
	var workers [4]life
	for i := range workers {
		workers[i] = start(t, g, i, dir)
	}
	const victim, kills = 2, 6
	done := make(chan struct{})
	var sent trafficgen.Sent
	s := n.sender(t)
	go func() {
		defer close(done)
		sent = send(t, s, trafficgen.Config{Flows: 4 * 60000, Window: 5000, Data: 64}, 250_000)
	}()
	for k := 0; k < kills; k++ {
		time.Sleep(400 * time.Millisecond)
		w := workers[victim]
		w.cmd.Process.Kill()
		w.cmd.Wait()
		for full := k < kills-1; !full; { // until the ring has run full, however slowly packets come
			time.Sleep(time.Second)
			tot, err := g.Totals(victim)
			select {
			case <-done:
				full = true
			default:
				full = err != nil || tot.Dropped > 0
			}
		}
		if k == 0 {
			tot, err := g.Totals(victim)
			if err != nil || tot.Packets == 0 {
				t.Errorf("counters without a reader: %+v, %v", tot, err)
			}
		}
		workers[victim] = start(t, g, victim, dir)
	}
	<-done
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	var read, dropped uint64
	owner := map[int]int{}
	moved := 0
	for i, w := range workers {
		w.cmd.Process.Signal(unix.SIGTERM)
		if err := w.cmd.Wait(); err != nil {
			t.Errorf("worker %d: %v", i, err)
		}
		count, _ := w.note.get()
		tot, err := g.Totals(i)
		if err != nil || tot.Unread != 0 || tot.Packets != count+tot.Dropped {
			t.Errorf("worker %d noted %d packets, its ring has %+v, %v", i, count, tot, err)
		}
		t.Logf("worker %d: %d packets, %d dropped", i, count, tot.Dropped)
		read, dropped = read+count, dropped+tot.Dropped
		for flow, seen := range w.note[noteFlows:] {
			if j, taken := owner[flow]; seen != 0 && taken && j != i {
				moved++
			} else if seen != 0 {
				owner[flow] = i
			}
		}
	}
	if read+dropped != sent.Packets {
		t.Errorf("sent %d, read %d + dropped %d = %d", sent.Packets, read, dropped, read+dropped)
	}
	if dropped == 0 {
		t.Error("nothing dropped: the ring of the killed worker never ran full")
	}
	if moved != 0 {
		t.Errorf("%d of %d flows moved", moved, len(owner))
	}
}

// A worker is stopped under load and goes on later: its ring has run full, the
// kernel has counted, and the sum holds.
func TestSuspend(t *testing.T) {
	n := newBench(t)
	g := n.group(t, 2, Options{RingMiB: 8})
	dir := t.TempDir()
	w := [2]life{start(t, g, 0, dir), start(t, g, 1, dir)}
	s := n.sender(t)
	var sent trafficgen.Sent
	first := 0
	some := func(flows int) { // by number: a slow machine sends for longer
		sent.Packets += send(t, s, trafficgen.Config{Flows: flows, First: first, Window: 5000, Data: 64}, 250_000).Packets
		first += flows
	}
	some(15_000)
	w[1].cmd.Process.Signal(unix.SIGSTOP)
	some(75_000)
	w[1].cmd.Process.Signal(unix.SIGCONT)
	some(20_000)
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	var read, dropped uint64
	for i := range w {
		w[i].cmd.Process.Signal(unix.SIGTERM)
		if err := w[i].cmd.Wait(); err != nil {
			t.Errorf("worker %d: %v", i, err)
		}
		count, _ := w[i].note.get()
		tot, err := g.Totals(i)
		if err != nil || tot.Unread != 0 {
			t.Errorf("worker %d: %+v, %v", i, tot, err)
		}
		t.Logf("worker %d: %d packets, %d dropped", i, count, tot.Dropped)
		read, dropped = read+count, dropped+tot.Dropped
	}
	if read+dropped != sent.Packets || dropped == 0 {
		t.Errorf("sent %d, read %d + dropped %d = %d; want drops", sent.Packets, read, dropped, read+dropped)
	}
}

// A second reader is refused, and says who the first one is.
func TestBusy(t *testing.T) {
	n := newBench(t)
	g := n.group(t, 1, Options{})
	w := start(t, g, 0, t.TempDir())
	_, err := FromFD(dup(t, g, 0), g.Ring(), Resume{})
	if !errors.Is(err, ErrBusy) {
		t.Errorf("second reader: %v", err)
	}
	t.Log(err)
	w.cmd.Process.Kill()
	w.cmd.Wait()
	source(t, g, 0, Resume{})
}

// A new owner takes the sockets over from the workers, which notice nothing.
func TestAdopt(t *testing.T) {
	n := newBench(t)
	g := n.group(t, 2, Options{})
	dir := t.TempDir()
	var w [2]life
	var holders []Holder
	for i := range w {
		w[i] = start(t, g, i, dir)
		holders = append(holders, Holder{w[i].cmd.Process.Pid, 3})
	}
	s := n.sender(t)
	sent := send(t, s, trafficgen.Config{Flows: 100}, 0).Packets
	g.Close()
	g, err := Adopt(g.Ring(), holders)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	w[1].cmd.Process.Kill()
	w[1].cmd.Wait()
	sent += send(t, s, trafficgen.Config{Flows: 100, First: 100}, 0).Packets
	w[1] = start(t, g, 1, dir)
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	var read uint64
	for i := range w {
		w[i].cmd.Process.Signal(unix.SIGTERM)
		if err := w[i].cmd.Wait(); err != nil {
			t.Errorf("worker %d: %v", i, err)
		}
		count, _ := w[i].note.get()
		read += count
	}
	if read != sent {
		t.Errorf("sent %d, read %d", sent, read)
	}
	if _, err := Adopt(g.Ring(), holders); !errors.Is(err, ErrLost) {
		t.Errorf("adopting from a dead worker: %v", err)
	} else {
		t.Log(err)
	}
}
