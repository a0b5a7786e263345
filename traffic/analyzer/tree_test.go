package analyzer_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// childless is a Conn without extra abilities.
type childless struct{ analyzer.Conn }

// notes is a Conn with children that writes down what is asked of it.
type notes struct {
	childless
	out []string
	n   analyzer.Child
}

func (r *notes) note(format string, args ...any) { r.out = append(r.out, fmt.Sprintf(format, args...)) }

func (r *notes) Child(name string, proto value.Proto) analyzer.Child {
	r.note("child %s %s", name, proto)
	r.n++
	return r.n
}

func (r *notes) Detect(proto value.Proto) analyzer.Child { return r.Child("?", proto) }

func (r *notes) Forward(n analyzer.Child, orig bool, data []byte) {
	r.note("%d %t %q", n, orig, data)
}

func (r *notes) ForwardGap(n analyzer.Child, orig bool, size uint64) {
	r.note("%d %t gap %d", n, orig, size)
}

func (r *notes) RemoveChild(n analyzer.Child) { r.note("remove %d", n) }

func (r *notes) Partial() bool { return true }

var _ analyzer.Parent = (*notes)(nil)

// all does all to a child that can be done to it.
func all(c analyzer.Conn, n analyzer.Child) {
	n.Forward(c, true, []byte("ab"))
	n.Forward(c, true, nil)
	n.Forward(c, false, []byte{})
	n.Gap(c, false, 3)
	n.Remove(c)
}

func TestChildren(t *testing.T) {
	r := &notes{}
	all(r, analyzer.StartTLS(r))
	all(r, analyzer.StartChild(r, "WEBSOCKET"))
	all(r, analyzer.StartDetect(r))
	all(r, 0)
	want := []string{
		"child SSL tcp", `1 true "ab"`, "1 false gap 3", "remove 1",
		"child WEBSOCKET tcp", `2 true "ab"`, "2 false gap 3", "remove 2",
		"child ? tcp", `3 true "ab"`, "3 false gap 3", "remove 3",
	}
	if !slices.Equal(r.out, want) {
		t.Errorf("got  %q\nwant %q", r.out, want)
	}
	if !analyzer.Partial(r) {
		t.Error("not partial")
	}
}

func TestConnWithoutChildren(t *testing.T) {
	c := childless{}
	for _, n := range []analyzer.Child{analyzer.StartTLS(c), analyzer.StartChild(c, "X"), analyzer.StartDetect(c)} {
		if n != 0 {
			t.Errorf("it has a child %d", n)
		}
	}
	all(c, 0)
	all(c, 1)
	if analyzer.Partial(c) {
		t.Error("partial")
	}
}
