package cluster

import (
	"testing"

	"github.com/picket-nsm/picket/zeek/value"
)

func TestMessages(t *testing.T) {
	var got []string
	l := New(func(r []value.Value) { got = append(got, r[1].Str()+" "+r[2].Str()) }, "manager")
	l.NodeUp(1, "worker-1", "nats_worker-1_host_7_Nx")
	l.NodeDown(2, "worker-1")
	want := []string{"manager got hello from worker-1 (nats_worker-1_host_7_Nx)", "manager node down: worker-1"}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}
