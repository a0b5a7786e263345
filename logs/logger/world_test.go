package logger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/batch"
	"github.com/picket-nsm/picket/logs/ship"
	"github.com/picket-nsm/picket/logs/sink/tsv"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// errDied is what a process that dies panics with.
var errDied = fmt.Errorf("died")

// world is a cluster on one goroutine: a producer, loggers, and a carrier
// between them that the test may let lie, lose and swallow. A process dies by a
// panic at a store into its ledger or in the middle of a write.
type world struct {
	t     testing.TB
	rng   *rand.Rand
	dir   string
	now   time.Time
	start uint64 // of the next life
	live  bool   // drop newest instead of blocking
	row   int    // the next row's number
	over  map[*ledger.Ledger]bool
	all   []*ledger.Ledger
	count int // stores until death; 0: no death planned

	prod *producer
	logs []*loggerNode

	mail    []mail            // batches under way
	answers []Answer          // answers under way
	swallow func(m mail) bool // the carrier loses a batch
	lie     func(m mail) bool // ... and answers for it
}

type mail struct {
	to string
	b  *record.Batch
}

type producer struct {
	led     *ledger.Ledger
	ship    *ship.Ship
	batcher *batch.Batcher
	streams []*batch.Stream
}

type loggerNode struct {
	name string
	led  *ledger.Ledger
	l    *Logger // nil: dead
}

// torn is a disk whose process may die in the middle of a write.
type torn struct {
	*os.File
	w *world
}

func (f torn) WriteAt(p []byte, off int64) (int, error) {
	f.w.tick()
	if f.w.count == 1 { // Dies inside this write.
		n := f.w.rng.IntN(len(p) + 1)
		f.File.WriteAt(p[:n], off)
		f.w.tick()
	}
	n, err := f.File.WriteAt(p, off)
	f.w.tick()
	return n, err
}

// tick counts down to a planned death.
func (w *world) tick() {
	if w.count > 0 {
		if w.count--; w.count == 0 {
			panic(errDied)
		}
	}
}

// dies runs what a process does and reports whether it died of it.
func (w *world) dies(f func()) (died bool) {
	defer func() {
		w.count = 0
		if r := recover(); r != nil {
			if r != errDied {
				panic(r)
			}
			died = true
		}
	}()
	f()
	return false
}

func newWorld(t testing.TB, seed uint64, loggers int) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), start: 1000, now: time.Unix(1_700_000_000, 0), over: map[*ledger.Ledger]bool{}}
	for i := range loggers {
		w.logs = append(w.logs, &loggerNode{name: fmt.Sprint("logger-", i+1)})
	}
	return w
}

func (w *world) ledger(node, role string) *ledger.Ledger {
	w.start++
	l, err := ledger.Create(filepath.Join(w.dir, node), node, role, w.start)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	w.all = append(w.all, l)
	return l
}

func (w *world) startLogger(n *loggerNode) {
	n.led = w.ledger(n.name, "logger")
	cfg := Default()
	cfg.Dir, cfg.Format = filepath.Join(w.dir, n.name, "logs"), tsv.Factory()
	cfg.Rotate = Rotation{Every: time.Minute}
	var err error
	n.l, err = New(cfg, Deps{
		Ledger: n.led, LedgerDir: filepath.Join(w.dir, n.name), Now: func() time.Time { return w.now },
		Answer: func(a Answer) { w.answers = append(w.answers, a) },
		Open: func(name string) (File, error) {
			f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
			return torn{f, w}, err
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	n.led.OnStore(w.tick)
	if w.dies(func() { err = n.l.Open() }) {
		w.killLogger(n)
	} else if err != nil {
		w.t.Fatal(err)
	}
}

// killLogger leaves everything as it is, but what dies with a process: its
// lock, its queue, what was under way to it.
func (w *world) killLogger(n *loggerNode) {
	w.over[n.led] = true
	n.l.unlock()
	n.l = nil
	w.mail = slices.DeleteFunc(w.mail, func(m mail) bool { return m.to == n.name })
}

func (w *world) Send(logger string, b *record.Batch) error {
	w.mail = append(w.mail, mail{logger, b})
	return nil
}

func (w *world) Limit() int { return 1 << 20 }

func (w *world) startProducer() {
	p := &producer{led: w.ledger("worker-1", "worker")}
	cfg := ship.Default()
	cfg.Credit, cfg.Queue = 3, 4
	p.ship = ship.New(cfg, ship.Deps{
		Ledger: p.led, Carrier: w, Now: func() time.Time { return w.now },
		Written: func(logger string, b *record.Batch) (bool, bool) {
			for _, n := range w.logs {
				if n.name == logger && n.l != nil {
					return false, false
				}
			}
			return w.proof(logger, b)
		},
	})
	bc := batch.Default()
	bc.Records = 5
	p.batcher = batch.New(bc, batch.Deps{Ledger: p.led, Out: p.ship.Offer, Limit: w.Limit})
	p.batcher.Tick(w.now)
	for _, path := range []string{"conn", "dns"} {
		s, err := p.batcher.Stream(record.New("X::LOG", path, connSchema.Fields))
		if err != nil {
			w.t.Fatal(err)
		}
		p.streams = append(p.streams, s)
	}
	p.led.OnStore(w.tick)
	w.prod = p
	w.tellLoggers()
}

// proof asks the dead logger's ledgers as the node would, who is dead being the test's word.
func (w *world) proof(logger string, b *record.Batch) (written, known bool) {
	snaps, err := ledger.ReadAll(filepath.Join(w.dir, logger))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range snaps {
		if s.Wrote(b.Producer, b.Start, b.Seq) {
			return true, true
		}
		if f := s.Flight(); f != nil && f.Start == b.Start && f.Seq == b.Seq {
			if n, _ := ledger.FileLength(f.File); n >= f.After {
				return true, true
			}
		}
	}
	return false, true
}

func (w *world) tellLoggers() {
	var names []string
	for _, n := range w.logs {
		if n.l != nil {
			names = append(names, n.name)
		}
	}
	w.prod.ship.Loggers(names)
}

func (w *world) killProducer() {
	w.over[w.prod.led] = true
	w.prod = nil
	if w.rng.IntN(2) == 0 { // What it had sent may still arrive, or not.
		w.mail = nil
	}
}

// act does one thing of the cluster, chosen by chance.
func (w *world) act() {
	if w.prod == nil {
		w.startProducer()
	}
	switch w.rng.IntN(12) {
	case 0, 1, 2:
		s := w.prod.streams[w.rng.IntN(2)]
		for range 1 + w.rng.IntN(4) {
			if w.writeRow(s) {
				return
			}
		}
	case 3, 4, 5:
		if w.dies(func() { w.prod.ship.Step(w.now) }) {
			w.killProducer()
		}
	case 6, 7, 8:
		w.deliver()
	case 9:
		w.answer()
	case 10:
		w.now = w.now.Add(time.Duration(w.rng.IntN(5000)) * time.Millisecond)
		if w.dies(func() { w.prod.batcher.Tick(w.now); w.prod.ship.Tick(w.now) }) {
			w.killProducer()
		}
		for _, n := range w.logs {
			if n.l != nil && w.dies(func() { n.l.Tick(w.now) }) {
				w.killLogger(n)
			}
		}
	case 11:
		n := w.logs[w.rng.IntN(len(w.logs))]
		if n.l == nil {
			w.startLogger(n)
		}
		w.tellLoggers()
	}
}

func (w *world) writeRow(s *batch.Stream) (died bool) {
	n := w.row
	w.row++
	if w.dies(func() { s.Write([]value.Value{value.Count(uint64(n)), value.String("row")}) }) {
		w.killProducer()
		return true
	}
	return false
}

func (w *world) deliver() {
	if len(w.mail) == 0 {
		return
	}
	m := w.mail[0]
	w.mail = w.mail[1:]
	if w.swallow != nil && w.swallow(m) {
		return
	}
	if w.lie != nil && w.lie(m) {
		w.answers = append(w.answers, Answer{Logger: m.to, Producer: m.b.Producer, Start: m.b.Start, Seq: m.b.Seq})
		return
	}
	for _, n := range w.logs {
		if n.name != m.to || n.l == nil {
			continue
		}
		if w.dies(func() { n.l.handle(context.Background(), m.b) }) {
			w.killLogger(n)
		}
	}
}

func (w *world) answer() {
	if len(w.answers) == 0 {
		return
	}
	a := w.answers[0]
	w.answers = w.answers[1:]
	if w.prod != nil && w.dies(func() { w.prod.ship.Acked(a.Logger, a.Start, a.Seq, a.Refusal) }) {
		w.killProducer()
	}
}

// end stops everything in order and settles.
func (w *world) end() *ledger.Report {
	if w.prod == nil {
		w.startProducer()
	}
	w.prod.batcher.Flush()
	for range 10000 {
		for _, n := range w.logs {
			if n.l == nil {
				w.startLogger(n)
			}
		}
		w.tellLoggers()
		w.now = w.now.Add(time.Second)
		w.prod.ship.Tick(w.now)
		for w.prod.ship.Step(w.now) {
		}
		for len(w.mail) > 0 {
			w.deliver()
		}
		for len(w.answers) > 0 {
			w.answer()
		}
		if all, _ := w.prod.ship.Pending(); all == 0 {
			break
		}
	}
	done, cancel := context.WithCancel(context.Background())
	cancel() // The deadline: time in this world does not pass by itself.
	if err := w.prod.ship.Drain(done); err != nil {
		w.t.Logf("%v", err)
	}
	w.prod.led.SetState(ledger.Stopped, w.now)
	for _, n := range w.logs {
		if err := n.l.stop(); err != nil {
			w.t.Errorf("stop: %v", err)
		}
		n.led.SetState(ledger.Stopped, w.now)
		w.over[n.led] = true
		n.l.unlock()
	}
	return w.settle()
}

func (w *world) settle() *ledger.Report {
	var snaps []*ledger.Snapshot
	over := map[string]bool{}
	for _, l := range w.all {
		s := mustRead(w.t, l.Path)
		over[fmt.Sprint(s.Node, s.Start)] = w.over[l] || s.State == ledger.Stopped
		snaps = append(snaps, s)
	}
	r, err := ledger.Settle(snaps, ledger.Options{Over: func(s *ledger.Snapshot) bool { return over[fmt.Sprint(s.Node, s.Start)] }})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func mustRead(t testing.TB, path string) *ledger.Snapshot {
	r, err := ledger.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check compares the report with what is in the files: the judge that no ledger
// can deceive.
func (w *world) check(r *ledger.Report) {
	seen := map[int]int{}
	lines := 0
	filepath.WalkDir(w.dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(p, ".log") {
			text, _ := os.ReadFile(p)
			for _, n := range rows(w.t, string(text)) {
				seen[n]++
				lines++
			}
			if strings.Count(string(text), "#separator") != 1 || strings.Count(string(text), "#close") != 1 {
				w.t.Errorf("%s: header or footer not once", p)
			}
		}
		return nil
	})
	for n, times := range seen {
		if times > 1 {
			w.t.Errorf("row %d is there %d times", n, times)
		}
	}
	if uint64(lines) != r.RecordTotal.Written {
		w.t.Errorf("%d rows in files, %d written by the books", lines, r.RecordTotal.Written)
	}
	if !r.Settled || r.Remainder() != 0 {
		var b strings.Builder
		r.Text(&b)
		w.t.Errorf("not settled:\n%s", &b)
	}
}
