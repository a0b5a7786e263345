package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/procinfo"
)

// Where lines are printed, a door that does not open is told once, apart from
// them; a door that is open, or of a process that is dead, is not.
func TestClosedDoorIsTold(t *testing.T) {
	spool, err := supervisor.OpenSpool(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	self := engine.Handle{PID: os.Getpid()}
	if self.Start, err = procinfo.Identity(self.PID); err != nil {
		t.Skip(err)
	}
	dead := engine.Handle{PID: self.PID, Start: self.Start + "0"}
	if err := spool.Save(supervisor.State{Version: 1, Nodes: []supervisor.NodeState{
		{Name: "hub", Handle: self}, {Name: "manager", Handle: dead},
	}}); err != nil {
		t.Fatal(err)
	}
	for _, d := range []status.Door{
		{Kind: "web", Node: "hub", PID: self.PID, Trouble: "port taken"},
		{Kind: "control", Node: "hub", PID: self.PID, URL: "https://127.0.0.1:1"},
		{Kind: "websocket", Node: "manager", PID: self.PID, Trouble: "long ago"},
	} {
		dir := filepath.Join(spool.Dir, d.Node)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := status.WriteDoor(dir, d); err != nil {
			t.Fatal(err)
		}
	}
	var out, errOut bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 3*repaint+repaint/2)
	defer cancel()
	screenFor(&out, &errOut, true).run(ctx, spool.Dir)
	if got := errOut.String(); got != "picket: web of hub is closed: port taken\n" || out.Len() > 0 {
		t.Errorf("%q, on standard output %q", got, &out)
	}
}
