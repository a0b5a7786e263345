package ledger

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func at(sec int64) time.Time { return time.Unix(1_700_000_000+sec, 0) }

func create(t testing.TB, dir, node, role string, start uint64) *Ledger {
	t.Helper()
	l, err := Create(dir, node, role, start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func snapshot(t testing.TB, dir string) *Snapshot {
	t.Helper()
	r, err := Open(dir)
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

func TestCountersAndState(t *testing.T) {
	dir := t.TempDir()
	l := create(t, dir, "worker-1", "worker", 5)
	l.SetState(Ready, at(1))
	c := l.Counter(PacketsReceived)
	if a := testing.AllocsPerRun(100, func() { c.Add(1) }); a != 0 {
		t.Errorf("Add allocates %v times", a)
	}
	c.Set(42)
	if l.Counter(PacketsReceived) != c {
		t.Error("one name, two counters")
	}
	s := snapshot(t, dir)
	if s.Node != "worker-1" || s.Role != "worker" || s.Start != 5 || s.Pid != os.Getpid() || s.State != Ready ||
		!s.Changed.Equal(at(1)) || !s.Heartbeat.Equal(at(1)) || s.Counters[PacketsReceived] != 42 {
		t.Errorf("%+v", s)
	}
	if _, err := Create(dir, "worker-1", "worker", 5); err == nil {
		t.Error("two ledgers of one life")
	}
	create(t, dir, "worker-1", "worker", 17)
	if s := snapshot(t, dir); s.Start != 17 {
		t.Errorf("newest life is %d", s.Start)
	}
	if err := Prune(dir, 1); err != nil {
		t.Fatal(err)
	}
	if p, _ := Lives(dir); len(p) != 1 || filepath.Base(p[0]) != fmt.Sprintf("ledger.%020d", 17) {
		t.Errorf("left: %v", p)
	}
}

func TestOverflow(t *testing.T) {
	l, _ := New("w", "worker", 1)
	for i := range 2 * maxCounters {
		l.Counter(fmt.Sprint("c", i)).Add(1)
	}
	s, err := l.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Counters[Overflow]; got != maxCounters+1 {
		t.Errorf("overflow %d", got)
	}
}

func TestRing(t *testing.T) {
	l, _ := New("w", "worker", 1)
	var es []Entry
	for range ringSize {
		e, ok, err := l.Make("conn", 10, 7)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		es = append(es, e)
	}
	if _, ok, _ := l.Make("conn", 10, 7); ok {
		t.Fatal("an unresolved entry was overwritten")
	}
	l.Sent(es[0], "logger-1")
	l.Acked(es[0])
	l.Acked(es[0]) // Again is harmless.
	l.Dropped(es[1], StageShip, ReasonDeadline)
	l.Sent(es[2], "logger-2")
	l.GaveUp(es[2])
	s, _ := l.Snapshot()
	if s.Counters[Acked("conn")] != 10 || s.Counters[Dropped("conn", StageShip, ReasonDeadline)] != 10 ||
		len(s.Entries) != ringSize-2 || s.Counters[RecordsBatched] != ringSize*10 {
		t.Errorf("%v, %d entries", s.Counters, len(s.Entries))
	}
	for _, e := range s.Entries {
		if e.Seq == 3 && (e.Fate != GaveUp || e.Logger != "logger-2") {
			t.Errorf("%+v", e)
		}
	}
	// The newest batch is never Window ahead of the oldest unresolved one.
	for _, e := range es[4:] {
		l.Acked(e)
	}
	n := 0
	for {
		e, ok, err := l.Make("dns", 1, 7)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		l.Acked(e)
		n++
	}
	if n != Window+3-1-ringSize {
		t.Errorf("made %d more", n)
	}
}

func TestWrittenWindow(t *testing.T) {
	dir := t.TempDir()
	l := create(t, dir, "logger-1", "logger", 10)
	if err := l.Continue(dir, FileLength); err != nil {
		t.Fatal(err)
	}
	f, err := l.OpenFile(File{Path: "conn", Name: "/x/conn.log", Opened: at(0), Schema: 9})
	if err != nil {
		t.Fatal(err)
	}
	l.FileSize(f, 100)
	p, err := l.Life("worker-1", 5)
	if err != nil {
		t.Fatal(err)
	}
	write := func(seq uint64) {
		t.Helper()
		if err := l.Begin(Flight{File: f, Life: p, Path: "conn", Seq: seq, Rows: 3, Before: 100, After: 200}); err != nil {
			t.Fatal(err)
		}
		l.Commit()
	}
	knows := func(seq uint64, want Known) {
		t.Helper()
		if got := l.Knows(p, seq); got != want {
			t.Errorf("batch %d: %v, want %v", seq, got, want)
		}
		s := snapshot(t, dir)
		if s.Wrote("worker-1", 5, seq) != (want == WasWritten) {
			t.Errorf("batch %d: the file says otherwise", seq)
		}
	}
	write(1)
	write(3)
	knows(1, WasWritten)
	knows(2, Unwritten)
	knows(3, WasWritten)
	write(2)
	knows(2, WasWritten)
	write(Window + 2)
	knows(2, TooOld)
	knows(3, WasWritten)
	knows(4, Unwritten)
	write(1 << 40)
	knows(1<<40, WasWritten)
	knows(1<<40-1, Unwritten)
	knows(Window+2, TooOld)
	s := snapshot(t, dir)
	if len(s.Written) != 1 || s.Written[0] != (Tally{"worker-1", 5, "conn", 15, 5}) || s.Files[0].Size != 200 {
		t.Errorf("%+v %+v", s.Written, s.Files)
	}
}

// TestFlight: a write under way is settled from the file's length, once.
func TestFlight(t *testing.T) {
	for _, c := range []struct {
		length int64
		want   Known
	}{{100, Unwritten}, {199, Unwritten}, {200, WasWritten}} {
		dir := t.TempDir()
		l := create(t, dir, "logger-1", "logger", 10)
		l.Continue(dir, FileLength)
		f, _ := l.OpenFile(File{Path: "conn", Name: "/x/conn.log", Opened: at(0)})
		p, _ := l.Life("worker-1", 5)
		l.Begin(Flight{File: f, Life: p, Path: "conn", Seq: 8, Rows: 3, Before: 100, After: 200})
		length := func(string) (int64, error) { return c.length, nil }
		// A life that died before it took over changes nothing.
		create(t, dir, "logger-1", "logger", 11)
		for start := uint64(12); start < 15; start++ {
			n := create(t, dir, "logger-1", "logger", start)
			if err := n.Continue(dir, length); err != nil {
				t.Fatal(err)
			}
			q, _ := n.Life("worker-1", 5)
			if got := n.Knows(q, 8); got != c.want {
				t.Errorf("length %d: %v, want %v", c.length, got, c.want)
			}
			if fs := n.Files(); len(fs) != 1 || fs[0].Name != "/x/conn.log" {
				t.Errorf("files %+v", fs)
			}
		}
		var sum uint64
		paths, _ := Lives(dir)
		for _, path := range paths {
			for _, w := range snapshot(t, path).Written {
				sum += w.Records
			}
		}
		if (sum == 3) != (c.want == WasWritten) || sum > 3 {
			t.Errorf("length %d: %d records written", c.length, sum)
		}
	}
}

// TestTorn: any cut and any damage gives an error or a snapshot, never a panic.
func TestTorn(t *testing.T) {
	for name, b := range map[string][]byte{"producer": example(t, "worker"), "logger": example(t, "logger")} {
		for _, n := range []int{0, 1, 7, 8, 100, 4096, sizeProducer - 1, len(b) - 1} {
			if _, err := Parse(b[:n]); err == nil {
				t.Errorf("%s cut at %d is accepted", name, n)
			}
		}
		for off := 0; off < 384; off++ {
			b[off] ^= 0xff
			Parse(b)
			b[off] ^= 0xff
		}
	}
}

func example(t testing.TB, role string) []byte {
	dir := t.TempDir()
	l, err := Create(dir, "n", role, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e, _, _ := l.Make("conn", 5, 1)
	l.Sent(e, "logger-1")
	l.Counter(Produced("conn")).Add(6)
	if role == "logger" {
		l.Continue(dir, FileLength)
		f, _ := l.OpenFile(File{Path: "conn", Name: "/x/conn.log"})
		p, _ := l.Life("w", 3)
		l.Begin(Flight{File: f, Life: p, Path: "conn", Seq: 8, Rows: 3, After: 200})
	}
	b, err := os.ReadFile(l.Path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzParse(f *testing.F) {
	// The file is large and mostly zeros: the fuzzer changes words of an example.
	f.Add(false, uint32(offState), uint64(3), uint32(tabRing), uint64(1))
	f.Add(true, uint32(flightState), uint64(2), uint32(flightSeq), uint64(1<<63))
	f.Add(true, uint32(tabFiles+fileName), uint64(0xffff), uint32(tabLives+8), uint64(1<<63))
	p, l := example(f, "worker"), example(f, "logger")
	f.Fuzz(func(t *testing.T, logger bool, a uint32, v uint64, b uint32, w uint64) {
		m := bytes.Clone(p)
		if logger {
			m = bytes.Clone(l)
		}
		for i := range 8 {
			m[(int(a)+i)%len(m)] = byte(v >> (8 * i))
			m[(int(b)+i)%len(m)] = byte(w >> (8 * i))
		}
		s, err := Parse(m)
		if err == nil {
			s.Wrote("w", 3, w)
		}
	})
}

// TestKill: what a process counted is there after SIGKILL.
func TestKill(t *testing.T) {
	if dir := os.Getenv("LEDGER_TEST_KILL"); dir != "" {
		l, err := Create(dir, "w", "worker", 1)
		if err != nil {
			t.Fatal(err)
		}
		l.Counter("x").Set(99)
		l.Make("conn", 3, 1)
		l.SetState(Ready, at(0))
		fmt.Println("go")
		select {}
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "LEDGER_TEST_KILL="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "go\n" {
		t.Fatal(line, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	s := snapshot(t, dir)
	if s.Counters["x"] != 99 || s.State != Ready || len(s.Entries) != 1 || s.Pid != cmd.Process.Pid {
		t.Errorf("%+v", s)
	}
}

func BenchmarkAdd(b *testing.B) {
	l, _ := New("w", "worker", 1)
	c := l.Counter("x")
	for b.Loop() {
		c.Add(1)
	}
}

// TestLayout holds docs/formats/ledger.md and the file together.
func TestLayout(t *testing.T) {
	b := example(t, "logger")
	for what, got := range map[string][2]uint64{
		"producer's file": {sizeProducer, 135168}, "logger's file": {uint64(len(b)), 2560000},
		"names": {tabNames, 69632}, "ring": {tabRing, 102400}, "lives": {tabLives, 397312}, "bits": {tabBits, 462848}, "cells": {tabCells, 1511424},
		"version": {uint64(u32(b, 8)), 1}, "size": {uint64(u32(b, 12)), 2560000}, "start": {u64(b, 16), 1}, "pid": {uint64(u32(b, 24)), uint64(os.Getpid())},
		"newest": {u64(b, 64), 1}, "node": {uint64(b[128]), 'n'}, "role": {uint64(b[192]), 'l'},
		"slot's number": {u64(b, 102400), 1}, "fate": {u64(b, 102408) >> 32, 2}, "records": {uint64(u32(b, 102416)), 5},
		"first name": {uint64(b[69632]), 4}, "flight": {uint64(u32(b, 320)), 1}, "length after": {u64(b, 352), 200}, "file": {uint64(u32(b, 135168)), 1},
		"life's start": {u64(b, 397312), 3},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d, want %d", what, got[0], got[1])
		}
	}
}
