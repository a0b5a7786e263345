package rdp

import (
	"fmt"
	"slices"
	"testing"

	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/rdp"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/value"
)

// reader notes the files that it is given.
type reader struct{ got *[]string }

func (r reader) Data(f *files.File, data []byte) bool {
	*r.got = append(*r.got, fmt.Sprintf("%s %x", f.Source, data))
	return true
}
func (r reader) Gap(*files.File, uint64) bool { return true }
func (r reader) End(*files.File)              {}

// TestCertificates looks at what reaches a reader of certificates.
func TestCertificates(t *testing.T) {
	var got []string
	log := fileslog.New(fileslog.Default(), func([]value.Value) {})
	log.Use(fileslog.Driver{Name: "X509", Types: []string{typeCertificate}, New: func(*files.File) files.Analyzer { return reader{&got} }})
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
	if want := []string{"RDP 3003616263", "RDP 300178"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestHandle(t *testing.T) {
	rec := &analyzertest.Recorder{}
	if got := string(conn{}.FileHandle(rec, false, nil)); got != "Analyzer::ANALYZER_RDP0.000000:::0 > :::0" {
		t.Errorf("%s", got)
	}
}
