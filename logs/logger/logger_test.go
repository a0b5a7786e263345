package logger

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/sink"
	"github.com/picket-nsm/picket/logs/sink/jsonl"
	"github.com/picket-nsm/picket/logs/sink/tsv"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

var connSchema = record.New("Conn::LOG", "conn",
	record.Of("n", value.KindCount), record.Of("who", value.KindString))

// encode makes a batch of rows numbered from first.
func encode(t testing.TB, s *record.Schema, producer string, start, seq uint64, first, rows int) *record.Batch {
	t.Helper()
	var e record.Encoder
	e.Reset(s)
	for i := range rows {
		row := []value.Value{value.Count(uint64(first + i)), value.String(producer)}
		for len(row) < len(s.Fields) {
			row = append(row, value.Value{})
		}
		if err := e.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	return &record.Batch{Producer: producer, Start: start, Seq: seq, Records: rows, Stream: s.Stream, Path: s.Path, Payload: e.Finish()}
}

// bench is a logger's life after life in one folder, with a clock by hand.
type bench struct {
	t       testing.TB
	dir     string
	cfg     Config
	now     time.Time
	start   uint64
	led     *ledger.Ledger
	l       *Logger
	answers []Answer
	open    func(string) (File, error)
}

func newBench(t testing.TB, change func(*Config)) *bench {
	b := &bench{t: t, dir: t.TempDir(), now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), start: 100}
	b.cfg = Default()
	b.cfg.Dir = filepath.Join(b.dir, "logs")
	b.cfg.Format = tsv.Factory()
	b.cfg.Retry = time.Millisecond
	b.cfg.Drain = 50 * time.Millisecond
	if change != nil {
		change(&b.cfg)
	}
	b.life()
	return b
}

// life begins a new life; the last one is just left, as a kill leaves it.
func (b *bench) life() {
	b.t.Helper()
	if b.l != nil {
		b.l.unlock()
	}
	b.start++
	var err error
	b.led, err = ledger.Create(filepath.Join(b.dir, "logger-1"), "logger-1", "logger", b.start)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { b.led.Close() })
	b.l, err = New(b.cfg, Deps{
		Ledger: b.led, LedgerDir: filepath.Join(b.dir, "logger-1"), Open: b.open,
		Answer: func(a Answer) { b.answers = append(b.answers, a) },
		Now:    func() time.Time { return b.now },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.l.Open(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) handle(batches ...*record.Batch) {
	for _, x := range batches {
		b.l.handle(b.t.Context(), x)
	}
}

func (b *bench) refusals() (out []string) {
	for _, a := range b.answers {
		out = append(out, a.Refusal)
	}
	return out
}

func (b *bench) files(dir string) []string {
	ents, _ := os.ReadDir(filepath.Join(b.dir, dir))
	var out []string
	for _, e := range ents {
		out = append(out, e.Name())
	}
	return out
}

func (b *bench) read(name string) string {
	b.t.Helper()
	x, err := os.ReadFile(filepath.Join(b.cfg.Dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(x)
}

// rows returns the first column of a log's rows, and checks that no line is torn.
func rows(t testing.TB, text string) (out []int) {
	t.Helper()
	if text != "" && !strings.HasSuffix(text, "\n") {
		t.Errorf("torn: ...%q", text[max(0, len(text)-40):])
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		first, _, ok := strings.Cut(line, "\t")
		n, err := strconv.Atoi(first)
		if err != nil || !ok {
			t.Errorf("torn line %q", line)
		}
		out = append(out, n)
	}
	return out
}

func count(from, n int) (out []int) {
	for i := range n {
		out = append(out, from+i)
	}
	return out
}

func TestWrite(t *testing.T) {
	b := newBench(t, nil)
	b.handle(
		encode(t, connSchema, "worker-1", 5, 1, 0, 3),
		encode(t, connSchema, "worker-2", 6, 1, 10, 2),
		encode(t, connSchema, "worker-1", 5, 1, 0, 3), // sent again
		encode(t, connSchema, "worker-1", 5, 4, 3, 2),
	)
	if got := b.refusals(); !slices.Equal(got, []string{"", "", "", ""}) {
		t.Errorf("answers %q", got)
	}
	if got, want := rows(t, b.read("conn.log")), []int{0, 1, 2, 10, 11, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if err := b.l.stop(); err != nil {
		t.Fatal(err)
	}
	text := b.read("conn.log")
	if !strings.HasPrefix(text, "#separator") || !strings.Contains(text, "#open\t2026-03-04-05-06-07\n") || !strings.HasSuffix(text, "#close\t2026-03-04-05-06-07\n") {
		t.Errorf("%s", text)
	}
	// A life after an orderly stop begins a new file, and puts the old one aside.
	b.now = b.now.Add(time.Minute)
	b.life()
	b.handle(encode(t, connSchema, "worker-1", 5, 4, 3, 2), encode(t, connSchema, "worker-1", 5, 5, 5, 1))
	if got, want := rows(t, b.read("conn.log")), []int{5}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if b.read("conn.2026-03-04-05-06-07.log") != text {
		t.Error("the old file is not what it was")
	}
	// A life after a crash goes on in the file, and cuts what is torn.
	f, _ := os.OpenFile(filepath.Join(b.cfg.Dir, "conn.log"), os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString("99\thalf a li")
	f.Close()
	b.life()
	b.handle(encode(t, connSchema, "worker-1", 5, 5, 5, 1), encode(t, connSchema, "worker-1", 5, 6, 6, 1))
	if got, want := rows(t, b.read("conn.log")), []int{5, 6}; !slices.Equal(got, want) || strings.Count(b.read("conn.log"), "#separator") != 1 {
		t.Errorf("%v", got)
	}
	if got := b.files("logs"); !slices.Equal(got, []string{"conn.2026-03-04-05-06-07.log", "conn.log"}) {
		t.Errorf("files %v", got)
	}
}

func TestRefused(t *testing.T) {
	b := newBench(t, nil)
	good := encode(t, connSchema, "w", 5, 1, 0, 3)
	change := func(f func(x *record.Batch)) *record.Batch {
		x := *good
		x.Payload = slices.Clone(good.Payload)
		f(&x)
		return &x
	}
	bad := []*record.Batch{
		change(func(x *record.Batch) { x.Payload = nil }),
		change(func(x *record.Batch) { x.Payload = x.Payload[:len(x.Payload)-1] }),
		change(func(x *record.Batch) { x.Records = 2 }),
		change(func(x *record.Batch) { x.Path = "dns" }),
		change(func(x *record.Batch) { x.Producer = "" }),
		change(func(x *record.Batch) { x.Producer = strings.Repeat("p", 70) }),
		encode(t, record.New("Conn::LOG", "../conn", connSchema.Fields), "w", 5, 2, 0, 1),
		encode(t, record.New("Conn::LOG", "a/b", connSchema.Fields), "w", 5, 2, 0, 1),
		encode(t, record.New("Conn::LOG", ".", connSchema.Fields), "w", 5, 2, 0, 1),
	}
	for i := range good.Payload { // Any damage: refused or written, never a crash.
		b.handle(change(func(x *record.Batch) { x.Payload[i] ^= 0x55; x.Seq = uint64(100 + i) }))
	}
	b.answers = nil
	b.handle(bad...)
	for i, r := range b.refusals() {
		if r == "" {
			t.Errorf("bad batch %d is accepted", i)
		}
	}
	if s, _ := b.led.Snapshot(); s.Counters[ledger.BatchesRefused] < uint64(len(bad)) {
		t.Errorf("%d counted", s.Counters[ledger.BatchesRefused])
	}
	for _, f := range b.files("logs") {
		rows(t, b.read(f))
	}
}

func TestSchemaChange(t *testing.T) {
	b := newBench(t, nil)
	wide := record.New("Conn::LOG", "conn", connSchema.Fields, record.Optional("x", value.KindBool))
	for i := range 4 {
		b.handle(encode(t, connSchema, "w", 5, uint64(2*i+1), i, 1), encode(t, wide, "w", 5, uint64(2*i+2), 100+i, 1))
		if i == 1 {
			b.life()
		}
	}
	if got := b.files("logs"); !slices.Equal(got, []string{"conn-2.log", "conn.log"}) {
		t.Fatalf("files %v", got)
	}
	if got := rows(t, b.read("conn.log")); !slices.Equal(got, count(0, 4)) {
		t.Errorf("%v", got)
	}
	if got := rows(t, b.read("conn-2.log")); !slices.Equal(got, count(100, 4)) {
		t.Errorf("%v", got)
	}
}

func TestOneFolderTwoLoggers(t *testing.T) {
	a := newBench(t, nil)
	second := func(tag string) error {
		led, _ := ledger.New("logger-2", "logger", 1)
		cfg := a.cfg
		cfg.Tag = tag
		l, err := New(cfg, Deps{Ledger: led})
		if err != nil {
			t.Fatal(err)
		}
		defer l.unlock()
		return l.Open()
	}
	if err := second(""); err == nil || !strings.Contains(err.Error(), "another logger writes there") {
		t.Errorf("%v", err)
	}
	a.l.unlock()
	a.cfg.Tag = "logger-1"
	a.life()
	if err := second("logger-2"); err != nil {
		t.Error(err)
	}
	a.handle(encode(t, connSchema, "w", 5, 1, 0, 2))
	a.life()
	a.handle(encode(t, connSchema, "w", 5, 2, 2, 2))
	if got := a.files("logs"); !slices.Equal(got, []string{"conn.logger-1.log"}) {
		t.Errorf("%v", got)
	}
}

// flaky is a disk that fails.
type flaky struct {
	*os.File
	fail func(n int) (part int, err error)
}

func (f *flaky) WriteAt(p []byte, off int64) (int, error) {
	if n, err := f.fail(len(p)); err != nil {
		f.File.WriteAt(p[:n], off)
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func TestDiskFull(t *testing.T) {
	b := newBench(t, nil)
	fails := 0
	b.l.deps.Open = func(name string) (File, error) {
		if fails == 2 {
			fails--
			return nil, syscall.EMFILE
		}
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		return &flaky{f, func(n int) (int, error) {
			if fails > 0 {
				fails--
				return n / 2, syscall.ENOSPC
			}
			return 0, nil
		}}, err
	}
	for seq := uint64(1); seq <= 5; seq++ {
		fails = int(seq)
		b.handle(encode(t, connSchema, "w", 5, seq, 3*int(seq-1), 3))
		if fails != 0 {
			t.Errorf("not tried again")
		}
	}
	if got := rows(t, b.read("conn.log")); !slices.Equal(got, count(0, 15)) {
		t.Errorf("%v", got)
	}
	s, _ := b.led.Snapshot()
	if len(b.answers) != 5 || s.Counters[ledger.WriteErrors] != 15 || s.Flight() != nil {
		t.Errorf("%d answers, %v", len(b.answers), s.Counters)
	}
	// A disk that stays full: the stop does not wait for ever, and says so.
	fails = 1 << 30
	b.l.queue <- encode(t, connSchema, "w", 5, 6, 15, 3)
	if err := b.l.stop(); err == nil || len(b.answers) != 5 {
		t.Errorf("stop: %v, %d answers", err, len(b.answers))
	}
}

// TestRun: with goroutines; several producers, drained at the end.
// A disk that stays full ends a Logger that is to give up, and says which file.
func TestGivesUp(t *testing.T) {
	b := newBench(t, func(c *Config) { c.MaxWait, c.GiveUp = time.Millisecond, 5*time.Millisecond })
	b.l.deps.Open = func(name string) (File, error) {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		return &flaky{f, func(int) (int, error) { return 0, syscall.ENOSPC }}, err
	}
	b.l.unlock()
	b.l.queue <- encode(t, connSchema, "w", 5, 1, 0, 3)
	err := b.l.Run(t.Context())
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "given up after 5ms") || !strings.Contains(err.Error(), ".log") {
		t.Error(err)
	}
	if len(b.answers) > 0 {
		t.Errorf("answered %v for what was not written", b.answers)
	}
}

// A file is named once, by us or by the system's error.
func TestWriteErrorNamesTheFileOnce(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "/logs/conn.log", Err: syscall.ENOSPC}
	for err, want := range map[error]string{
		full:           "write /logs/conn.log: no space left on device",
		syscall.ENOSPC: "write conn.log: no space left on device",
	} {
		if got := writeError("conn.log", err); got.Error() != want || !errors.Is(got, syscall.ENOSPC) {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	led, _ := ledger.New("logger-1", "logger", 1)
	cfg := Default()
	cfg.Dir, cfg.Format, cfg.Queue = dir, jsonl.Factory(), 2
	var mu sync.Mutex
	answers := map[string]int{}
	l, err := New(cfg, Deps{Ledger: led, Answer: func(a Answer) {
		mu.Lock()
		defer mu.Unlock()
		answers[a.Producer+a.Refusal]++
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	var wg sync.WaitGroup
	for _, p := range []string{"w1", "w2", "w3"} {
		wg.Go(func() {
			for seq := range uint64(20) {
				l.Receive(encode(t, connSchema, p, 1, seq+1, int(seq), 1))
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	l.Receive(encode(t, connSchema, "w1", 1, 99, 0, 1)) // Does not block after the end.
	l.Receive(encode(t, connSchema, "w1", 1, 99, 0, 1))
	l.Receive(encode(t, connSchema, "w1", 1, 99, 0, 1))
	if answers["w1"] != 20 || answers["w2"] != 20 || answers["w3"] != 20 {
		t.Errorf("%v", answers)
	}
	text, err := os.ReadFile(filepath.Join(dir, "conn.log"))
	if err != nil || strings.Count(string(text), "\n") != 60 {
		t.Errorf("%v, %d lines", err, strings.Count(string(text), "\n"))
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"logger: no format":                  func(c *Config) { c.Format = sink.Factory{} },
		"logger queue 0: must be at least 1": func(c *Config) { c.Queue = 0 },
		`logger tag "a/b": letters, digits, dot, dash and underscore only`: func(c *Config) { c.Tag = "a/b" },
		`rotation base time "25:00": must be HH:MM`:                        func(c *Config) { c.Rotate.At = "25:00" },
		"rotation interval 1ms: must be 0 or at least 1s":                  func(c *Config) { c.Rotate.Every = time.Millisecond },
	} {
		cfg := Default()
		cfg.Format = tsv.Factory()
		change(&cfg)
		if err := cfg.Validate(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("an empty config is accepted")
	}
}

// TestFull: a logger whose ledger has no room for another life of a producer
// ends, and its next life, which has, goes on.
func TestFull(t *testing.T) {
	b := newBench(t, nil)
	n := 0
	for start := uint64(1); b.l.full == nil; start++ {
		if start > 2000 {
			t.Fatal("never full")
		}
		b.handle(encode(t, connSchema, "worker-1", start, 1, n, 1))
		n++
	}
	n--
	for _, r := range b.refusals() {
		if r != "" {
			t.Fatal(r)
		}
	}
	b.life()
	b.handle(encode(t, connSchema, "worker-1", uint64(n+1), 1, n, 1), encode(t, connSchema, "worker-1", uint64(n), 1, n-1, 1))
	if b.l.full != nil || len(b.answers) != n+2 {
		t.Errorf("%v, %d answers", b.l.full, len(b.answers))
	}
	if got := rows(t, b.read("conn.log")); !slices.Equal(got, count(0, n+1)) {
		t.Errorf("%d rows", len(got))
	}
}
