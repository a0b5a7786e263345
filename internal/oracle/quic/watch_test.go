package quic

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/quic"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/zeek/value"
)

var record = flag.String("record", "", "folder in which the conversations are written, for the analyzer's testdata")

// sight is what the analyzer saw of a flow.
type sight struct {
	packets   [2][]string // long headers of the server, of the client
	hellos    []string
	closes    []string
	names     []string
	protocols []string
	short     bool
	discarded bool     // a datagram had the fixed bit cleared, or a packet behind another
	reasons   []string // of violations
}

// conn notes what the analyzer finds wrong.
type conn struct {
	*analyzertest.Recorder
	s *sight
}

func (c conn) Violation(_, reason string, _ []byte) { c.s.reasons = append(c.s.reasons, reason) }

var kinds = map[wire.Kind]string{
	wire.Initial: "initial", wire.ZeroRTT: "0RTT", wire.Handshake: "handshake", wire.Retry: "retry",
	wire.UnknownVersion: "version_negotiation",
}

func (s *sight) Packet(_ analyzer.Conn, p *wire.Packet) {
	kind := kinds[p.Kind]
	if kind == "" {
		s.short = s.short || p.Kind == wire.Short
		s.discarded = s.discarded || p.Kind == wire.Discarded
		return
	}
	side := 0
	if p.Orig {
		side = 1
	}
	s.packets[side] = append(s.packets[side], header(kind, p.Version, p.DCID, p.SCID))
}

func header(kind string, version uint32, dcid, scid []byte) string {
	return fmt.Sprintf("%s %x %x>%x", kind, version, scid, dcid)
}

func (s *sight) Hello(_ analyzer.Conn, h *tlsmsg.Hello) {
	if !h.Client {
		what := "server"
		if h.Retry() {
			what = "retry"
		}
		s.hellos = append(s.hellos, what)
		return
	}
	s.hellos = append(s.hellos, "client")
	for _, n := range h.Names {
		s.names = append(s.names, string(n))
	}
	for _, p := range h.Protocols {
		s.protocols = append(s.protocols, string(p))
	}
}

func (s *sight) Close(_ analyzer.Conn, k *wire.Close) {
	s.closes = append(s.closes, fmt.Sprintf("%v %d %s", k.Orig, k.Code, k.Reason))
}

func (s *sight) End(analyzer.Conn) {}

// look shows a flow to the analyzer.
func look(f *Flow) *sight {
	s := &sight{}
	a := wire.Factory(wire.Default(), func() wire.Handler { return s }).New(value.ProtoUDP)
	for _, d := range f.Datagrams {
		s.discarded = s.discarded || d.Data[0]&0x40 == 0
	}
	rec := conn{&analyzertest.Recorder{Quiet: true}, s}
	for _, d := range f.Datagrams {
		a.Deliver(rec, d.Client, slices.Clone(d.Data))
	}
	a.End(rec)
	return s
}

// keep writes a flow as a conversation, up to n datagrams.
func keep(t *testing.T, name, comment string, f *Flow, n int) {
	if *record == "" || n == 0 {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n-- conn --\nudp 192.0.2.1:%d 192.0.2.2:443\n-- turns --\n", comment, f.Client.Port())
	for i, d := range f.Datagrams {
		if i == n {
			break
		}
		mark := "<"
		if d.Client {
			mark = ">"
		}
		for line := range slices.Chunk(d.Data, 64) {
			fmt.Fprintf(&b, "%s %s\n", mark, hex.EncodeToString(line))
			mark = " "
		}
	}
	b.WriteString("-- events --\n")
	if err := os.WriteFile(filepath.Join(*record, name+".txtar"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
