// Package analyzertest is the kit that every analyzer passes.
//
// A case is a conversation in a txtar file: bytes of both sides, made by us with
// real programs or by hand, and the events that come out (rewritten with
// -update). From each the kit makes many more: split at every byte, cut at every
// byte, with gaps, sides swapped, repeated; and it looks at allocations and at
// the memory a connection holds. Buffers are overwritten after each call, so
// that an analyzer that keeps borrowed bytes is found out.
package analyzertest

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

var update = flag.Bool("update", false, "rewrite the events of the analyzers' conversations")

// thorough is the largest conversation, in bytes, that is cut and split at every
// byte; larger ones at about as many places.
const thorough = 8 << 10

// Harness says what is tested.
type Harness struct {
	// Factory returns a new factory whose analyzers report to a handler of the
	// test, which in turn calls rec.Eventf for all it is told, and nothing if
	// rec.Quiet.
	Factory func(rec *Recorder) analyzer.Factory
	// Dir is the folder of conversations; empty: testdata.
	Dir string
	// Allocs is how many allocations a conversation may cost once the analyzer has
	// warmed up.
	Allocs float64
	// Loose, if not nil, returns what of a line does not depend on where the stream
	// is cut into packets; that is what is compared where cuts are. Empty: the whole
	// line depends on it and is left out.
	Loose func(line string) string
	// Last, if not nil, tells a line behind which it depends on the packets what is
	// seen: what stands before it, and the line itself, is compared. A violation is
	// always such a line: what is left of its packet is parsed although the analyzer
	// is on its way out.
	Last func(line string) bool
	// State is how many bytes a connection may hold, whatever was said on it.
	State int
}

func (h *Harness) conversations(t testing.TB) []*Conversation {
	dir := h.Dir
	if dir == "" {
		dir = "testdata"
	}
	return Load(t, dir)
}

// EndsWell plays the conversations of another folder, which have events of their own:
// they have to end well, no more.
func EndsWell(t *testing.T, h Harness, dir string) {
	k := h.talk()
	for _, c := range Load(t, dir) {
		k.all(c, whole)
	}
}

// Run runs the kit.
func Run(t *testing.T, h Harness) {
	all := h.conversations(t)
	each := func(name string, f func(t *testing.T, c *Conversation)) {
		t.Run(name, func(t *testing.T) {
			for _, c := range all {
				t.Run(c.Name, func(t *testing.T) { f(t, c) })
			}
		})
	}
	each("Golden", h.golden)
	if *update {
		return
	}
	each("Reuse", h.reuse)
	each("Split", h.split)
	each("Cut", h.cut)
	each("Gap", h.gap)
	each("Swap", h.swap)
	each("Allocs", h.allocs)
	each("State", h.state)
}

// talk is an analyzer at work on a conversation.
type talk struct {
	rec *Recorder
	f   analyzer.Factory
	a   analyzer.Analyzer
	buf []byte
}

func (h *Harness) talk() *talk {
	rec := &Recorder{}
	return &talk{rec: rec, f: h.Factory(rec)}
}

// open starts a connection.
func (k *talk) open(c *Conversation) {
	k.rec.id, k.rec.now, k.rec.violated = c.ID, start, false
	k.rec.children = k.rec.children[:0]
	k.a = k.f.New(c.ID.Proto)
	if o, ok := k.a.(analyzer.Opener); ok {
		o.Open(k.rec)
	}
}

// deliver hands over bytes, and spoils them afterwards.
func (k *talk) deliver(orig bool, data []byte) {
	if k.rec.violated {
		return
	}
	k.buf = append(k.buf[:0], data...)
	k.a.Deliver(k.rec, orig, k.buf)
	for i := range k.buf {
		k.buf[i] = 0xdb
	}
}

// turn plays a turn whose bytes go in pieces of at most size bytes.
func (k *talk) turn(t *Turn, size int) {
	k.rec.now += packet.Time(t.Wait)
	switch {
	case t.Gap > 0:
		if !k.rec.violated {
			k.a.Gap(k.rec, t.Orig, t.Gap)
		}
	case t.Close, t.Reset:
		k.stop(t)
	default:
		for p := range slices.Chunk(t.Data, size) {
			k.deliver(t.Orig, p)
		}
		if len(t.Data) == 0 && t.Wait == 0 {
			k.deliver(t.Orig, nil)
		}
	}
}

// stop ends a side, or resets the connection.
func (k *talk) stop(t *Turn) {
	if k.rec.violated {
		return
	}
	if e, ok := k.a.(analyzer.Ender); ok {
		if t.Reset {
			e.Interrupted(k.rec)
		} else {
			e.SideEnded(k.rec, t.Orig)
		}
	}
	if c, ok := k.a.(analyzer.Closer); ok && !k.rec.violated {
		c.Closed(k.rec)
	}
}

const whole = 1 << 30

// play plays a conversation and returns its events, those of the end apart.
func (k *talk) play(c *Conversation, size int) (before, after []string) {
	k.rec.lines = nil
	k.open(c)
	for i := range c.Turns {
		k.turn(&c.Turns[i], size)
	}
	return k.end()
}

func (k *talk) end() (before, after []string) {
	n := len(k.rec.lines)
	k.a.End(k.rec)
	if k.rec.files != nil {
		k.rec.files.Finish(k.rec.now)
	}
	k.rec.say()
	return k.rec.lines[:n:n], k.rec.lines[n:]
}

func (k *talk) all(c *Conversation, size int) []string { return slices.Concat(k.play(c, size)) }

func (h *Harness) golden(t *testing.T, c *Conversation) {
	got := h.talk().all(c, whole)
	if *update {
		if err := c.update(got); err != nil {
			t.Fatal(err)
		}
		return
	}
	compare(t, "the conversation", c.Events, got)
}

// compareCuts compares what came out of the same bytes, cut differently.
func (h *Harness) compareCuts(t *testing.T, what string, want, got []string) {
	t.Helper()
	compare(t, what, h.firm(want), h.firm(got))
}

// firm returns what of the lines does not depend on cuts.
func (h *Harness) firm(lines []string) []string {
	if h.Last != nil {
		if i := slices.IndexFunc(lines, h.Last); i >= 0 {
			lines = lines[:i+1]
		}
	}
	if h.Loose == nil {
		return lines
	}
	var out []string
	for _, l := range lines {
		if l = h.Loose(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// compareUntilViolation compares cuts up to the first violation.
func (h *Harness) compareUntilViolation(t *testing.T, what string, want, got []string) {
	t.Helper()
	h.compareCuts(t, what, untilViolation(want), untilViolation(got))
}

// untilViolation ends the lines with the first violation. What of the bytes is
// shown with it depends on the pieces.
func untilViolation(lines []string) []string {
	i := slices.IndexFunc(lines, isViolation)
	if i < 0 {
		return lines
	}
	return append(lines[:i:i], "violation")
}

func compare(t *testing.T, what string, want, got []string) {
	t.Helper()
	if slices.Equal(want, got) {
		return
	}
	i := 0
	for i < min(len(want), len(got)) && want[i] == got[i] {
		i++
	}
	line := func(s []string) string {
		if i < len(s) {
			return s[i]
		}
		return "(nothing)"
	}
	t.Fatalf("%s: events differ at line %d\nwant %s\ngot  %s\nall:\n%s", what, i+1, line(want), line(got), strings.Join(got, "\n"))
}

// reuse plays the conversation again with the same factory.
func (h *Harness) reuse(t *testing.T, c *Conversation) {
	k := h.talk()
	for n := range 3 {
		compare(t, fmt.Sprintf("time %d", n+1), c.Events, k.all(c, whole))
	}
}

// places returns the offsets at which a conversation is split or cut.
func (c *Conversation) places() []int {
	n := c.size()
	step := max(1, n/thorough)
	var at []int
	for i := 0; i <= n; i += step {
		at = append(at, i)
	}
	return at
}

// split splits the stream at each byte, and then into single bytes.
func (h *Harness) split(t *testing.T, c *Conversation) {
	if !c.Stream() {
		t.Skip("datagrams are not split")
	}
	k := h.talk()
	for _, size := range []int{1, 2, 3, 7} {
		h.compareCuts(t, fmt.Sprintf("pieces of %d bytes", size), c.Events, k.all(c, size))
	}
	for _, at := range c.places() {
		k.rec.lines = nil
		k.open(c)
		off := 0
		for i := range c.Turns {
			turn := &c.Turns[i]
			if n := at - off; n > 0 && n < len(turn.Data) {
				k.deliver(turn.Orig, turn.Data[:n])
				k.deliver(turn.Orig, turn.Data[n:])
			} else {
				k.turn(turn, whole)
			}
			off += len(turn.Data)
		}
		k.end()
		h.compareCuts(t, fmt.Sprintf("split at byte %d", at), c.Events, k.rec.lines)
	}
}

// cut ends the conversation after each byte. What a stream has shown until then
// is the beginning of what it shows as a whole.
func (h *Harness) cut(t *testing.T, c *Conversation) {
	k := h.talk()
	for _, at := range c.places() {
		k.rec.lines = nil
		k.open(c)
		off := 0
		for i := range c.Turns {
			turn := c.Turns[i]
			if off+len(turn.Data) > at {
				turn.Data = turn.Data[:at-off]
				k.turn(&turn, whole)
				break
			}
			k.turn(&turn, whole)
			off += len(turn.Data)
		}
		before, _ := k.end()
		if c.Stream() {
			h.prefix(t, fmt.Sprintf("cut at byte %d", at), c.Events, before)
		}
	}
}

// prefix compares got with the beginning of all.
func (h *Harness) prefix(t *testing.T, what string, all, got []string) {
	t.Helper()
	all, got = h.firm(all), h.firm(got)
	compare(t, what, all[:min(len(got), len(all))], got)
}

// gap loses each turn, and the beginning and the end of each. It has to end
// well, no more.
func (h *Harness) gap(t *testing.T, c *Conversation) {
	if !c.Stream() {
		t.Skip("datagrams have no gaps")
	}
	k := h.talk()
	for lost := range c.Turns {
		n := len(c.Turns[lost].Data)
		for _, part := range [][2]int{{0, n}, {0, n / 2}, {n / 2, n}, {1, n}, {0, n - 1}} {
			if n == 0 || part[0] >= part[1] {
				continue
			}
			k.rec.lines = nil
			k.open(c)
			for i := range c.Turns {
				turn := &c.Turns[i]
				if i != lost {
					k.turn(turn, whole)
					continue
				}
				k.deliver(turn.Orig, turn.Data[:part[0]])
				k.turn(&Turn{Orig: turn.Orig, Gap: uint64(part[1] - part[0])}, whole)
				k.deliver(turn.Orig, turn.Data[part[1]:])
			}
			k.end()
		}
	}
}

// swap exchanges the sides. It has to end well, and twice gives the same.
func (h *Harness) swap(t *testing.T, c *Conversation) {
	s := *c
	s.Turns = slices.Clone(c.Turns)
	for i := range s.Turns {
		s.Turns[i].Orig = !s.Turns[i].Orig
	}
	k := h.talk()
	compare(t, "swapped twice", k.all(&s, whole), k.all(&s, whole))
	if all := k.all(&s, whole); s.Stream() {
		h.compareUntilViolation(t, "swapped, single bytes", all, k.all(&s, 1))
	}
}

func (h *Harness) allocs(t *testing.T, c *Conversation) {
	k := h.talk()
	k.rec.Quiet = true
	got := testing.AllocsPerRun(100, func() { k.play(c, whole) })
	if got > h.Allocs {
		t.Errorf("a conversation costs %.1f allocations, at most %.1f are allowed", got, h.Allocs)
	}
}

// state measures what a connection holds: in the middle of the conversation, and
// after many repetitions of it.
func (h *Harness) state(t *testing.T, c *Conversation) {
	const conns = 16
	k := h.talk()
	k.rec.Quiet = true
	open := make([]analyzer.Analyzer, 0, conns)
	measure := func(what string, f func()) {
		open = open[:0]
		before := heap()
		for range conns {
			k.open(c)
			f()
			open = append(open, k.a)
		}
		after := heap()
		if per := (int(after) - int(before)) / conns; per > h.State {
			t.Errorf("%s: a connection holds %d bytes, at most %d are allowed", what, per, h.State)
		}
		for _, a := range open {
			a.End(k.rec)
		}
		k.f = h.Factory(k.rec)
	}
	measure("before the last byte", func() {
		for i := range c.Turns {
			turn := c.Turns[i]
			if i == len(c.Turns)-1 && len(turn.Data) > 0 {
				turn.Data = turn.Data[:len(turn.Data)-1]
			}
			k.turn(&turn, whole)
		}
	})
	measure("after 100 repetitions", func() {
		for range 100 {
			for i := range c.Turns {
				k.turn(&c.Turns[i], whole)
			}
		}
	})
	runtime.KeepAlive(open)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
