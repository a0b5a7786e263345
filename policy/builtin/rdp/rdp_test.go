package rdp

import (
	"testing"

	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/rdp"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/value"
)

// TestCertificates counts the certificates that reach what looks at files.
func TestCertificates(t *testing.T) {
	var rows []string
	schema := fileslog.Schema()
	log := fileslog.New(fileslog.Default(), func(row []value.Value) {
		for i, v := range row {
			if f := schema.Fields[i].Name; f == "source" || f == "mime_type" {
				rows = append(rows, v.Str())
			}
		}
	})
	f := wire.Factory(New(files.New(files.Default(), log)).Handler)
	rec := &analyzertest.Recorder{Quiet: true}
	for _, c := range analyzertest.Load(t, "../../../traffic/analyzer/rdp/testdata") {
		if c.Name != "native" {
			continue
		}
		a := f.New(value.ProtoTCP)
		for i := range c.Turns {
			a.Deliver(rec, c.Turns[i].Orig, c.Turns[i].Data)
		}
		a.End(rec)
	}
	// Without what reads certificates they are files like others.
	want := []string{wire.Name, typeCertificate, wire.Name, typeCertificate}
	if len(rows) != len(want) {
		t.Fatalf("%q", rows)
	}
	for i := range want {
		if rows[i] != want[i] {
			t.Errorf("%q", rows)
		}
	}
}

func TestHandle(t *testing.T) {
	rec := &analyzertest.Recorder{}
	if got := string(conn{}.FileHandle(rec, false, nil)); got != "Analyzer::ANALYZER_RDP0.000000:::0 > :::0" {
		t.Errorf("%s", got)
	}
}
