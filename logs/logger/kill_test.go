package logger

import (
	"context"
	"encoding/gob"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/batch"
	"github.com/picket-nsm/picket/logs/ship"
	"github.com/picket-nsm/picket/logs/sink/tsv"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// TestSIGKILL runs a worker and two loggers as processes that talk over unix
// sockets, kills one of them at a random moment again and again, stops what is
// left in order, and settles from the ledgers alone.
func TestSIGKILL(t *testing.T) {
	if role := os.Getenv("KILL_TEST_ROLE"); role != "" {
		childMain(t, role, os.Getenv("KILL_TEST_DIR"))
		return
	}
	kills := 40
	if testing.Short() {
		kills = 8
	}
	dir, err := os.MkdirTemp("", "kill") // A short name: sockets have no long ones.
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	rng := rand.New(rand.NewPCG(7, 7))
	names := []string{"worker-1", "logger-1", "logger-2"}
	procs := map[string]*child{}
	for _, n := range names {
		procs[n] = startChild(t, n, dir)
	}
	for range kills {
		waitRunning(dir)
		time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
		n := names[rng.IntN(3)]
		procs[n].kill()
		if rng.IntN(3) == 0 {
			time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		}
		procs[n] = startChild(t, n, dir)
	}
	time.Sleep(100 * time.Millisecond)
	for _, n := range names {
		procs[n].stop(t, n)
	}

	var snaps []*ledger.Snapshot
	lives := 0
	for _, n := range names {
		s, err := ledger.ReadAll(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		lives += len(s)
		snaps = append(snaps, s...)
	}
	r, err := ledger.Settle(snaps, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir}
	w.check(r)
	w.checkOrder()
	var text strings.Builder
	r.Text(&text)
	t.Logf("%d lives of 3 nodes\n%s", lives, &text)
	if r.RecordTotal.Written == 0 || len(r.RecordTotal.Lost) == 0 && !testing.Short() {
		t.Error("the test does not test")
	}
}

// waitRunning waits until records flow: answers reach the worker's newest life.
func waitRunning(dir string) {
	for range 6000 {
		if r, err := ledger.Open(filepath.Join(dir, "worker-1")); err == nil {
			s, err := r.Snapshot()
			r.Close()
			if err == nil && s.Counters[ledger.RecordsAcked] > 0 && !s.Over() {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// checkOrder: in every file, the rows of one life of a producer come in the
// order it wrote them.
func (w *world) checkOrder() {
	files, _ := filepath.Glob(filepath.Join(w.dir, "*", "logs", "*.log"))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		last := map[int]int{}
		for _, n := range rows(w.t, string(text)) {
			if life := n / rowsPerLife; last[life] > n {
				w.t.Errorf("%s: row %d after row %d", f, n, last[life])
			} else {
				last[life] = n
			}
		}
	}
}

const rowsPerLife = 100_000_000

type child struct {
	cmd *exec.Cmd
	in  io.Closer
}

func startChild(t *testing.T, name, dir string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSIGKILL$")
	cmd.Env = append(os.Environ(), "KILL_TEST_ROLE="+name, "KILL_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &child{cmd, in}
}

func (c *child) kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

func (c *child) stop(t *testing.T, name string) {
	c.in.Close()
	over := time.AfterFunc(30*time.Second, func() { c.cmd.Process.Kill() })
	defer over.Stop()
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func childMain(t *testing.T, name, dir string) {
	role, _, _ := strings.Cut(name, "-")
	led, err := ledger.Create(filepath.Join(dir, name), name, role, uint64(time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		io.Copy(io.Discard, os.Stdin) // Its end is the order to stop.
		cancel()
	}()
	if role == "logger" {
		err = childLogger(ctx, led, name, dir)
	} else {
		err = childWorker(ctx, led, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	led.SetState(ledger.Stopped, time.Now())
}

func childLogger(ctx context.Context, led *ledger.Ledger, name, dir string) error {
	sock := filepath.Join(dir, name+".sock")
	os.Remove(sock)
	var mu sync.Mutex
	conns := map[string]*gob.Encoder{}
	cfg := Default()
	cfg.Dir, cfg.Format, cfg.Queue = filepath.Join(dir, name, "logs"), tsv.Factory(), 4
	cfg.Rotate = Rotation{Every: 1 * time.Second}
	l, err := New(cfg, Deps{Ledger: led, LedgerDir: filepath.Join(dir, name), Answer: func(a Answer) {
		mu.Lock()
		defer mu.Unlock()
		if e := conns[a.Producer]; e != nil {
			e.Encode(a)
		}
	}})
	if err != nil {
		return err
	}
	ln, err := net.Listen("unix", sock)
	if err != nil {
		return err
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				dec := gob.NewDecoder(c)
				for {
					b := new(record.Batch)
					if dec.Decode(b) != nil {
						return
					}
					mu.Lock()
					if b.Records == 0 { // Hello.
						conns[b.Producer] = gob.NewEncoder(c)
						mu.Unlock()
						continue
					}
					mu.Unlock()
					l.Receive(b)
				}
			}()
		}
	}()
	return l.Run(ctx)
}

// sockets is a Carrier over unix sockets that tells the ship who is there.
type sockets struct {
	dir  string
	ship *ship.Ship
	mu   sync.Mutex
	out  map[string]*gob.Encoder
}

func (s *sockets) Limit() int { return 1 << 20 }

func (s *sockets) Send(logger string, b *record.Batch) error {
	s.mu.Lock()
	e := s.out[logger]
	s.mu.Unlock()
	if e == nil {
		return errors.New("not connected")
	}
	e.Encode(b) // A broken connection is noticed by its reader.
	return nil
}

func (s *sockets) tell() {
	s.mu.Lock()
	var names []string
	for n := range s.out {
		names = append(names, n)
	}
	s.mu.Unlock()
	s.ship.Loggers(names)
}

// keep holds a connection to one logger.
func (s *sockets) keep(ctx context.Context, logger string) {
	for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", filepath.Join(s.dir, logger+".sock"))
		if err != nil {
			continue
		}
		e := gob.NewEncoder(c)
		e.Encode(&record.Batch{Producer: "worker-1"})
		s.mu.Lock()
		s.out[logger] = e
		s.mu.Unlock()
		s.tell()
		dec := gob.NewDecoder(c)
		for {
			var a Answer
			if dec.Decode(&a) != nil {
				break
			}
			s.ship.Acked(a.Logger, a.Start, a.Seq, a.Refusal)
		}
		s.mu.Lock()
		delete(s.out, logger)
		s.mu.Unlock()
		s.tell()
		c.Close()
	}
}

func childWorker(ctx context.Context, led *ledger.Ledger, dir string) error {
	net := &sockets{dir: dir, out: map[string]*gob.Encoder{}}
	cfg := ship.Default()
	cfg.Block, cfg.Credit, cfg.Queue, cfg.Resend = true, 4, 4, 300*time.Millisecond
	net.ship = ship.New(cfg, ship.Deps{Ledger: led, Carrier: net})
	bc := batch.Default()
	bc.Records = 50
	b := batch.New(bc, batch.Deps{Ledger: led, Out: net.ship.Offer, Limit: net.Limit})
	var streams []*batch.Stream
	for _, path := range []string{"conn", "dns"} {
		s, err := b.Stream(record.New("X::LOG", path, connSchema.Fields))
		if err != nil {
			return err
		}
		streams = append(streams, s)
	}
	life, err := ledger.Lives(filepath.Join(dir, "worker-1"))
	if err != nil {
		return err
	}
	running, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	wg.Go(func() { net.ship.Run(running) })
	for _, l := range []string{"logger-1", "logger-2"} {
		go net.keep(running, l) // Ends with the process.
	}
	for i := len(life) * rowsPerLife; ctx.Err() == nil; i++ {
		streams[i%2].Write([]value.Value{value.Count(uint64(i)), value.String("row")})
		if i%100 == 0 {
			b.Tick(time.Now())
			time.Sleep(200 * time.Microsecond)
		}
	}
	b.Flush()
	drain, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return net.ship.Drain(drain)
}
