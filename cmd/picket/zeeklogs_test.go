package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/libzmqtest"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// TestRealWorkersLogs: a Picket logger gets over PUSH and PULL what real workers
// sent, and writes what the real logger wrote for it, in TSV and JSON, streams that
// we know and others.
func TestRealWorkersLogs(t *testing.T) {
	t.Parallel()
	root := testenv.Shared(t, "golden", "log-batches")
	traces, err := filepath.Glob(filepath.Join(root, "*", "batches.jsonl"))
	if err != nil || len(traces) == 0 {
		t.Fatal(traces, err)
	}
	for _, format := range []string{"tsv", "json"} {
		for _, file := range traces {
			trace := filepath.Base(filepath.Dir(file))
			t.Run(format+" "+trace, func(t *testing.T) { realWorkersLogs(t, format, filepath.Dir(file)) })
		}
	}
}

func realWorkersLogs(t *testing.T, format, trace string) {
	t.Parallel()
	m := newMachine(t)
	node, _ := m.layout("1").Node("logger-1")
	lib := libzmqtest.Start(t)
	hub := lib.Do(map[string]any{"op": "proxy"})
	args := []string{"node", "logger-1", "--backend", "zeromq", "--xpub", hub.XPUB, "--xsub", hub.XSUB, "--logs", "logs"}
	if format == "json" {
		args = append(args, "--json")
	}
	u := m.start(args...)
	lib.Socket("push", "PUSH", nil)
	lib.Connect("push", fmt.Sprintf("tcp://127.0.0.1:%d", node.Port))
	frames := testenv.Frames(t, filepath.Join(trace, "batches.jsonl"))
	for _, f := range frames {
		lib.Send("push", f...)
	}
	// A stream that no Zeek has; then a batch that is cut, which costs only itself.
	strange := record.New("Strange::LOG", "strange", record.Of("ts", value.KindTime), record.Optional("what", value.KindSet, value.KindString))
	var enc record.Encoder
	enc.Reset(strange)
	if err := enc.Append([]value.Value{value.Time(1.5), value.Set([]value.Value{value.String("x"), value.String("y")})}); err != nil {
		t.Fatal(err)
	}
	b := enc.Finish()
	lib.Send("push", frames[0][0], frames[0][1], frames[0][2], b[:len(b)-1])
	lib.Send("push", frames[0][0], frames[0][1], frames[0][2], b)
	logs := filepath.Join(m.dir, "logs")
	u.says(t, filepath.Join(logs, "strange.log"), "1.5") // of the last batch
	u.terminate(t)
	wants, err := filepath.Glob(filepath.Join(trace, format, "*.log"))
	if err != nil || len(wants) == 0 {
		t.Fatal(wants, err)
	}
	for _, w := range wants {
		want, err := os.ReadFile(w)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(logs, filepath.Base(w)))
		if err != nil {
			t.Error(err)
			continue
		}
		g, x := withoutTimes(got), withoutTimes(want)
		if g != x {
			t.Errorf("%s differs from the real logger's\n%s\nwant\n%s", filepath.Base(w), g, x)
		}
	}
}

// withoutTimes leaves out when a file was opened and closed.
func withoutTimes(b []byte) string {
	var out strings.Builder
	for line := range bytes.Lines(b) {
		if !bytes.HasPrefix(line, []byte("#open")) && !bytes.HasPrefix(line, []byte("#close")) {
			out.Write(line)
		}
	}
	return out.String()
}
