package pop3_test

import (
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/pop3"
	"github.com/picket-nsm/picket/zeek/value"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(*analyzertest.Recorder) analyzer.Factory { return pop3.Factory(pop3.Default()) },
		Allocs:  16, // the kit's notes of children
		State:   32 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzPOP3(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// Lines that never end stay within the limit of all connections.
func TestEndless(t *testing.T) {
	cfg := pop3.Default()
	cfg.Lines = 1 << 20
	s := pop3.New(cfg)
	rec := &analyzertest.Recorder{Quiet: true}
	var all []analyzer.Analyzer
	for range 20 {
		all = append(all, s.Factory().New(value.ProtoTCP))
	}
	piece := []byte(strings.Repeat("x", 1400))
	for range 100 {
		for _, a := range all {
			a.Deliver(rec, true, piece)
			a.Deliver(rec, false, piece)
		}
	}
	if used := s.Held(); used > cfg.Lines || s.Stats().ShedLines == 0 {
		t.Errorf("%d bytes are held, %d lines were shed", used, s.Stats().ShedLines)
	}
	for _, a := range all {
		a.End(rec)
	}
	if used := s.Held(); used != 0 {
		t.Errorf("%d bytes are left", used)
	}
}

func BenchmarkRetrieve(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	a := pop3.Factory(pop3.Default()).New(value.ProtoTCP)
	a.Deliver(rec, false, []byte("+OK\r\n"))
	a.Deliver(rec, true, []byte("USER u\r\nPASS p\r\n"))
	a.Deliver(rec, false, []byte("+OK\r\n+OK\r\n"))
	data := []byte("+OK\r\nSubject: s\r\n\r\n" + strings.Repeat(strings.Repeat("text ", 14)+"\r\n", 500) + ".\r\n")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for range b.N {
		a.Deliver(rec, true, []byte("RETR 1\r\n"))
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1460)
			a.Deliver(rec, false, rest[:n])
			rest = rest[n:]
		}
	}
}
