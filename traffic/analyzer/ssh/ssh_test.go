package ssh_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/ssh"
	"github.com/picket-nsm/picket/zeek/value"
)

// watcher writes down what it is told; logins only if asked, since they depend
// on the pieces in which the bytes come.
type watcher struct {
	rec    *analyzertest.Recorder
	logins *[]bool
}

func (w watcher) Version(_ analyzer.Conn, orig bool, line []byte) {
	if !w.rec.Quiet {
		w.rec.Eventf("version %v %q", orig, line)
	}
}

func (w watcher) Kexinit(_ analyzer.Conn, k *ssh.Kexinit) {
	if !w.rec.Quiet {
		w.rec.Eventf("kexinit server=%v %q", k.Server, k.Lists)
	}
}

func (w watcher) HostKey(_ analyzer.Conn, fingerprint []byte) {
	if !w.rec.Quiet {
		w.rec.Eventf("host key %s", fingerprint)
	}
}

func (w watcher) Auth(_ analyzer.Conn, success bool) bool {
	if w.logins != nil {
		*w.logins = append(*w.logins, success)
	}
	return false
}

func (w watcher) End(analyzer.Conn) {
	if !w.rec.Quiet {
		w.rec.Eventf("end")
	}
}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return ssh.Factory(ssh.Default(), func() ssh.Handler { return watcher{rec: rec} })
		},
		Allocs: 0,
		State:  300 << 10, // MaxHeld, of one direction
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzSSH(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// Logins are guessed from sizes, here of real ones: a key that is refused (as
// soon as it is offered), and one that is taken.
func TestLogins(t *testing.T) {
	for _, conv := range analyzertest.Load(t, "testdata") {
		if !slices.Contains([]string{"curve", "gex", "group14"}, conv.Name) {
			continue
		}
		var logins []bool
		rec := &analyzertest.Recorder{Quiet: true}
		a := ssh.Factory(ssh.Default(), func() ssh.Handler { return watcher{rec, &logins} }).New(value.ProtoTCP)
		for i := range conv.Turns {
			if tn := &conv.Turns[i]; !tn.Close {
				a.Deliver(rec, tn.Orig, tn.Data)
			}
		}
		a.End(rec)
		if fmt.Sprint(logins) != "[false true]" {
			t.Errorf("%s: logins %v, want one that fails and one that succeeds", conv.Name, logins)
		}
	}
}

// A line or packet without end does not fill the memory.
func TestHeld(t *testing.T) {
	rec := &analyzertest.Recorder{Quiet: true}
	f := ssh.Factory(ssh.Default(), func() ssh.Handler { return watcher{rec: rec} })
	a := f.New(value.ProtoTCP)
	piece := bytes.Repeat([]byte("x"), 1000)
	got := testing.AllocsPerRun(1, func() {
		for range 5000 {
			a.Deliver(rec, false, piece)
		}
	})
	if got > 50 {
		t.Errorf("%v allocations", got)
	}
	a.End(rec)
}

func TestCommon(t *testing.T) {
	for _, c := range []struct {
		client, server, want string
		ok                   bool
	}{
		{"a,b", "b,a", "a", true}, {"a,b", "c,b", "b", true}, {"a", "b", "", false}, {"", "", "", true},
		{"", "a", "", false}, {"ab", "a", "", false}, {"a,", "b,", "", true},
	} {
		got, ok := ssh.Common([]byte(c.client), []byte(c.server))
		if string(got) != c.want || ok != c.ok {
			t.Errorf("Common(%q, %q) = %q, %v", c.client, c.server, got, ok)
		}
	}
}

func BenchmarkKeyExchange(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	f := ssh.Factory(ssh.Default(), func() ssh.Handler { return watcher{rec: rec} })
	for _, c := range analyzertest.Load(b, "testdata") {
		if c.Name != "curve" {
			continue
		}
		b.ReportAllocs()
		for b.Loop() {
			a := f.New(value.ProtoTCP)
			for i := range c.Turns {
				a.Deliver(rec, c.Turns[i].Orig, c.Turns[i].Data)
			}
			a.End(rec)
		}
	}
}
