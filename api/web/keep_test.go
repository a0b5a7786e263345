package web

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
)

// What the charts show outlives the hub, within a run; of another run, or spoilt,
// nothing is taken.
func TestHistoryIsKept(t *testing.T) {
	m := newMade(t, 3)
	file := filepath.Join(t.TempDir(), "history")
	at := m.begin.Add(time.Hour)
	var troubles []error
	life := func(run string) *feed {
		f := New(Config{Sources: m.sources(), Keep: file}, m.deps(t, false)).feed
		f.now = func() time.Time { return at }
		f.look = func(*status.Status) (*status.Status, error) {
			st := m.at(at)
			st.Run = run
			return st, nil
		}
		f.trouble = func(err error) { troubles = append(troubles, err) }
		return f
	}
	one := life("a")
	for range 700 {
		at = at.Add(time.Second)
		one.step()
	}
	if err := one.save(); err != nil {
		t.Fatal(err)
	}
	at = at.Add(5 * time.Second)
	two := life("a")
	two.step()
	if !reflect.DeepEqual(two.history.columns(), one.history.columns()) || !reflect.DeepEqual(two.history.node("worker-2"), one.history.node("worker-2")) {
		t.Error("the history is another one")
	}
	for range 30 {
		at = at.Add(time.Second)
		two.step()
	}
	h, _ := two.history.lists()
	if n := len(h["time"]); n < 580 || h["time"][n-1] != unix(at) || h["time"][0] < unix(at)-601 {
		t.Errorf("%d samples, the last %v, now %v", n, h["time"][n-1], unix(at))
	}
	for i := 1; i < len(h["time"]); i++ {
		if h["time"][i] <= h["time"][i-1] {
			t.Fatalf("sample %d goes back", i)
		}
	}
	if n := life("b"); true {
		n.step()
		if len(n.history.all) != 0 || len(troubles) != 0 {
			t.Errorf("of another run: %d samples, %v", len(n.history.all), troubles)
		}
	}
	// Cut at any place it is no history, and told.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(text)-1; n += len(text) / 50 {
		if h, err := parseKept(text[:n], "a", unix(at)); err == nil || len(h.all) > 0 {
			t.Fatalf("cut at %d: %d samples, %v", n, len(h.all), err)
		}
	}
	if err := os.WriteFile(file, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	f := life("a")
	f.step()
	if len(f.history.all) != 0 || len(troubles) != 1 {
		t.Errorf("%d samples of half a file, %v", len(f.history.all), troubles)
	}
}

func FuzzKept(f *testing.F) {
	f.Add([]byte(`{"run":"a","history":{"totals":{"time":[1,2],"pps":[1,2],"dps":[0,0],"rps":[1,2],"wps":[1,2],"queue":[0,1],"memory":[5,6],"cpu":[1,2]},"logs":{"conn":[1,2]}},"nodes":{"worker-1":{"pps":[1,2],"dps":[0,0]}}}`))
	f.Add([]byte(`{"run":"a","history":{"totals":{"time":[1]}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := parseKept(text, "a", 1e10)
		if err != nil && len(h.all) > 0 {
			t.Fatal(err, len(h.all))
		}
		_ = h.columns()
		_ = h.node("worker-1")
		h.add(&Frame{Time: 2e10, Logs: []Log{{Path: "conn"}}, Nodes: []Node{{Name: "worker-1", Role: "worker"}}})
	})
}
