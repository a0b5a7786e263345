package node

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// foreign is a bus that has found out that some loggers are a real Zeek's.
type foreign struct {
	backend.Driver
	zeeks map[string]bool
}

func (f foreign) Foreign(logger string) bool { return f.zeeks[logger] }

// TestColumns: a logger that is a real Zeek's gets what has its columns, whether the
// spec says so or the bus finds it out; and what no logger writes does not wait.
func TestColumns(t *testing.T) {
	batch := func(stream, path string, columns ...string) *record.Batch {
		s := &record.Schema{Stream: stream, Writer: "Log::WRITER_ASCII", Filter: "default", Path: path}
		row := []value.Value{}
		for _, c := range columns {
			s.Fields = append(s.Fields, record.Field{Name: c, Kind: value.KindString})
			row = append(row, value.String("x"))
		}
		s.Fields[0].Kind, row[0] = value.KindTime, value.Time(1)
		var e record.Encoder
		e.Reset(s)
		if err := e.Append(row); err != nil {
			t.Fatal(err)
		}
		return &record.Batch{Stream: stream, Path: path, Records: 1, Payload: e.Finish()}
	}
	fits, more := batch("Cluster::LOG", "cluster", "ts", "node", "message"), batch("Cluster::LOG", "cluster", "ts", "node", "message", "more")
	var l layout.Layout
	for _, n := range []string{"a", "b"} {
		l.Nodes = append(l.Nodes, layout.Node{Name: n, Role: layout.Logger})
	}
	for _, c := range []struct {
		name   string
		stock  []string
		zeeks  []string
		takes  string // of fits and more, by a and b
		nobody bool
		says   string
	}{
		{"ours", nil, nil, "true true true true", false, ""},
		{"one in the spec", []string{"a"}, nil, "true false true true", false, ""},
		{"both in the spec", []string{"a", "b"}, nil, "true false true false", true, "no logger writes these rows"},
		{"one found out", nil, []string{"b"}, "true true true false", false, "b is a real Zeek's and is taken for Zeek 9.0 with local.zeek"},
		{"in both ways", []string{"a"}, []string{"b"}, "true false true false", true, "--zeek-logger b=VERSION"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said bytes.Buffer
			spec, bus := Spec{Stock: map[string]Stock{}}, foreign{zeeks: map[string]bool{}}
			for _, n := range c.stock {
				spec.Stock[n] = Stock{Version: "8.2"}
			}
			for _, n := range c.zeeks {
				bus.zeeks[n] = true
			}
			k, err := newColumns(spec, &l, bus, slog.New(slog.NewTextHandler(&said, nil)))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := fmt.Sprint(k.takes("a", fits), k.takes("a", more), k.takes("b", fits), k.takes("b", more)); got != c.takes {
					t.Errorf("takes %s, want %s", got, c.takes)
				}
				if err := k.nobody(fits); err != nil {
					t.Error(err)
				}
				if err := k.nobody(more); (err != nil) != c.nobody {
					t.Errorf("nobody: %v", err)
				}
			}
			if out := said.String(); strings.Count(out, c.says) != 1 && c.says != "" || c.says == "" && out != "" {
				t.Errorf("it says %s", out)
			}
		})
	}
	if _, err := newColumns(Spec{Stock: map[string]Stock{"a": {Version: "7.0"}}}, &l, foreign{}, slog.Default()); err == nil {
		t.Error("version 7.0 is taken")
	}
}
