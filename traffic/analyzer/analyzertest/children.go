package analyzertest

import (
	"fmt"
	"net/netip"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// maxShown is how many of a child's bytes are shown.
const maxShown = 200

// child is what a child got, as far as it can be told whatever the pieces: both
// sides apart.
type child struct {
	name    string
	sides   [2][]byte // first bytes of originator and responder
	sizes   [2]uint64
	gaps    [2]uint64
	removed bool
}

// say writes down what the children got. It comes at the end, so that a
// conversation that is cut shows the beginning of what the whole one shows.
func (r *Recorder) say() {
	for i, c := range r.children {
		for side, mark := range []byte{'>', '<'} {
			if !r.Quiet && (c.sizes[side] > 0 || c.gaps[side] > 0) {
				r.Eventf("child %d %s got %c %d bytes, %d lost: %q", i+1, c.name, mark, c.sizes[side], c.gaps[side], c.sides[side])
			}
		}
	}
	r.children = r.children[:0]
}

// Child implements analyzer.Parent. Every name is known.
func (r *Recorder) Child(name string, proto value.Proto) analyzer.Child {
	r.children = append(r.children, child{name: name})
	if !r.Quiet {
		r.Eventf("child %d %s %s", len(r.children), name, proto)
	}
	return analyzer.Child(len(r.children))
}

// Detect implements analyzer.Parent.
func (r *Recorder) Detect(proto value.Proto) analyzer.Child { return r.Child("(detect)", proto) }

func (r *Recorder) child(n analyzer.Child) *child {
	if n == 0 {
		return nil
	}
	if int(n) > len(r.children) || r.children[n-1].removed {
		panic(fmt.Sprintf("analyzertest: there is no child %d", n))
	}
	return &r.children[n-1]
}

func sideOf(orig bool) int {
	if orig {
		return 0
	}
	return 1
}

// Forward implements analyzer.Parent.
func (r *Recorder) Forward(n analyzer.Child, orig bool, data []byte) {
	if c := r.child(n); c != nil {
		s := sideOf(orig)
		c.sizes[s] += uint64(len(data))
		if room := maxShown - len(c.sides[s]); !r.Quiet && room > 0 {
			c.sides[s] = append(c.sides[s], data[:min(room, len(data))]...)
		}
	}
}

// ForwardGap implements analyzer.Parent.
func (r *Recorder) ForwardGap(n analyzer.Child, orig bool, bytes uint64) {
	if c := r.child(n); c != nil {
		c.gaps[sideOf(orig)] += bytes
	}
}

// RemoveChild implements analyzer.Parent.
func (r *Recorder) RemoveChild(n analyzer.Child) {
	if c := r.child(n); c != nil {
		c.removed = true
		r.Eventf("child %d removed", n)
	}
}

// Expect implements analyzer.Expecter.
func (r *Recorder) Expect(e analyzer.Expectation) {
	if !r.Quiet {
		r.Eventf("expect %s from %s to %s:%d/%s for %g s", e.Analyzer, netip.AddrFrom16(e.Orig).Unmap(), netip.AddrFrom16(e.Resp).Unmap(), e.RespP, e.Proto, e.Timeout)
	}
}

// Remove implements analyzer.Remover. The analyzer gets no more bytes after it.
func (r *Recorder) Remove() {
	r.violated = true
	r.Eventf("removed")
}
