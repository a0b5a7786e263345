package irc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/irc"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/value"
)

// watcher writes down all that it is told.
type watcher struct{ rec *analyzertest.Recorder }

func arrow(orig bool) string {
	if orig {
		return ">"
	}
	return "<"
}

func (w watcher) Nick(_ analyzer.Conn, orig bool, nick []byte) {
	if !w.rec.Quiet {
		w.rec.Eventf("%s nick %q", arrow(orig), nick)
	}
}

func (w watcher) User(_ analyzer.Conn, u *irc.User) {
	if !w.rec.Quiet {
		w.rec.Eventf("%s user %q %q %q %q", arrow(u.Orig), u.Name, u.Host, u.Server, u.RealName)
	}
}

func (w watcher) Join(_ analyzer.Conn, j *irc.Join) {
	if !w.rec.Quiet {
		w.rec.Eventf("%s join %v %q %q", arrow(j.Orig), j.First, j.Channel, j.Password)
	}
}

func (w watcher) DCC(_ analyzer.Conn, d *irc.DCC) {
	if !w.rec.Quiet {
		w.rec.Eventf("%s dcc %q %q %s %d %d", arrow(d.Orig), d.Type, d.Argument, value.Addr16(d.Addr).Addr(), d.Port, d.Size)
	}
}

func (w watcher) End(analyzer.Conn) {
	if !w.rec.Quiet {
		w.rec.Eventf("over")
	}
}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return irc.Factory(func() irc.Handler { return watcher{rec} })
		},
		Allocs: 16, // the kit's notes of children
		State:  8 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzIRC(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// channel names and ends direct connections.
type channel struct{ rec *analyzertest.Recorder }

func (channel) FileHandle(_ analyzer.Conn, _ bool, dst []byte) []byte { return append(dst, 'x') }
func (channel) FileOver(analyzer.Conn, *files.File)                   {}

func (d channel) Begin(analyzer.Conn) { d.rec.Eventf("begin") }
func (d channel) End(analyzer.Conn)   { d.rec.Eventf("over") }

func dataHarness() analyzertest.Harness {
	return analyzertest.Harness{
		Dir: "testdata/data",
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			tab := analyzertest.Files(rec, func(f *files.File) string {
				return fmt.Sprintf("file seen=%d missing=%d type=%s source=%s", f.Seen, f.Missing, f.MIME, f.Source)
			})
			return irc.DataFactory(tab, func() irc.DataHandler { return channel{rec} })
		},
		Allocs: 8,
		// Zeek looks whether an acknowledgement lies in one packet.
		Loose: func(line string) string {
			if strings.HasPrefix(line, "weird irc_invalid_dcc_send_ack") {
				return ""
			}
			return line
		},
		State: 16 << 10,
	}
}

func TestDataKit(t *testing.T) { analyzertest.Run(t, dataHarness()) }

func FuzzData(f *testing.F) { analyzertest.Fuzz(f, dataHarness()) }

func BenchmarkMessages(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	a := irc.Factory(func() irc.Handler { return watcher{rec} }).New(value.ProtoTCP)
	data := []byte(strings.Repeat(":alice!alice@client.example.com PRIVMSG #channel :this is a line of chat that says something\r\n", 14))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for range b.N {
		a.Deliver(rec, false, data)
	}
}
