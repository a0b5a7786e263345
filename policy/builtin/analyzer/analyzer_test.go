package analyzer_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	log "github.com/picket-nsm/picket/policy/builtin/analyzer"
	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

func addr(s string) packet.Addr { return netip.MustParseAddr(s).As16() }

func TestRows(t *testing.T) {
	var rows []string
	l := log.New(func(row []value.Value) {
		var b strings.Builder
		for _, v := range row {
			switch v.Kind() {
			case value.KindVoid:
				b.WriteString("- ")
			case value.KindTime:
				fmt.Fprintf(&b, "%g ", v.Float())
			case value.KindAddr:
				fmt.Fprintf(&b, "%s ", v.Addr())
			case value.KindPort:
				fmt.Fprintf(&b, "%d ", v.Count())
			default:
				fmt.Fprintf(&b, "%q ", v.Str())
			}
		}
		rows = append(rows, strings.TrimSpace(b.String()))
	})
	id := analyzer.ID{UID: "C1", Orig: addr("192.0.2.1"), OrigP: 1025, Resp: addr("2001:db8::2"), RespP: 80, Proto: value.ProtoTCP}
	l.Failed(&flow.Failure{Time: 5, Analyzer: "HTTP", Reason: "no such line", Data: []byte(strings.Repeat("x", 41)), ID: id})
	l.Failed(&flow.Failure{Time: 6, Packet: true, Analyzer: "GTPV1", Reason: "cut", ID: id})
	l.FileFailed(7, "PE", "no header", nil, "F1", nil)
	l.FileFailed(8, "PE", "no header", []byte("MZ"), "F2", &id)
	want := []string{
		`5 "protocol" "HTTP" "C1" - 192.0.2.1 1025 2001:db8::2 80 "tcp" "no such line" "` + strings.Repeat("x", 40) + `"`,
		`6 "packet" "GTPV1" "C1" - 192.0.2.1 1025 2001:db8::2 80 "tcp" "cut" -`,
		`7 "file" "PE" - "F1" - - - - - "no header" -`,
		`8 "file" "PE" "C1" "F2" 192.0.2.1 1025 2001:db8::2 80 - "no header" "MZ"`,
	}
	if !slices.Equal(rows, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
}

// The columns are those that real Zeek writes.
func TestRecordedHeader(t *testing.T) {
	rowstest.SameColumns(t, log.Schema(), "http", "websocket.pcap", "analyzer.log")
}
