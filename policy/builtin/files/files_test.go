package files

import (
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/files/hash"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// The header is the one that real Zeek sends, column by column.
func TestRecordedHeader(t *testing.T) { rowstest.SameHeader(t, Schema(), "http_get") }

// conn is a connection, and the protocol on it that names the file.
type conn struct{ id analyzer.ID }

func (c *conn) ID() analyzer.ID                            { return c.id }
func (c *conn) Now() packet.Time                           { return 100 }
func (c *conn) Weird(name, addl, source string)            {}
func (c *conn) Confirm(string)                             {}
func (c *conn) Violation(service, reason string, _ []byte) {}
func (c *conn) Local() (orig, resp, known bool)            { return true, false, true }
func (c *conn) FileHandle(_ analyzer.Conn, _ bool, dst []byte) []byte {
	return append(dst, "name"...)
}
func (c *conn) FileOver(_ analyzer.Conn, f *files.File) { f.Name, f.HasName = "a.txt", true }

func TestRows(t *testing.T) {
	var rows [][]value.Value
	md5 := hash.New("md5")
	l := New(Default(), func(row []value.Value) {
		keep := make([]value.Value, len(row))
		for i, v := range row {
			if keep[i] = v; v.Kind() == value.KindString {
				keep[i] = value.String(string([]byte(v.Str())))
			}
		}
		rows = append(rows, keep)
	}, Driver{Name: "MD5", New: func(*files.File) files.Analyzer { return md5.Analyzer() }},
		Driver{Name: "NEVER", Types: []string{"image/png"}, New: func(*files.File) files.Analyzer { t.Error("wrong type"); return nil }})
	tab := files.New(files.Default(), l)
	for i := range 2 {
		c := &conn{analyzer.ID{UID: "C" + string(rune('1'+i)), OrigP: uint16(1000 + i), RespP: 80, Proto: value.ProtoTCP}}
		s, r := files.Side{Source: "TEST", Owner: c, Orig: i == 0}, files.Ref{}
		tab.DataAt(c, &s, &r, uint64(5*i), []byte("hello, world"[5*i:5*i+5]))
		if i == 1 {
			tab.Size(c, &s, &r, 10)
		}
	}
	if len(rows) != 2 {
		t.Fatalf("%d rows, want one for each connection", len(rows))
	}
	for i, row := range rows {
		if got := row[colUID].Str(); got != "C"+string(rune('1'+i)) {
			t.Errorf("uid %s", got)
		}
		for col, want := range map[int]string{
			colSource: "TEST", colMIME: "text/plain", colFilename: "a.txt", colMD5: "f2f6e72f730ad1717137da430880a678",
		} {
			if got := row[col].Str(); got != want {
				t.Errorf("column %d: %q, want %q", col, got, want)
			}
		}
		if row[colSeen].Count() != 10 || row[colTotal].Count() != 10 ||
			!row[colLocalOrig].Bool() || !row[colIsOrig].Bool() || row[colTimedOut].Bool() {
			t.Errorf("%+v", row)
		}
		if e := row[colAnalyzers].Elems(); len(e) != 1 || e[0].Str() != "MD5" {
			t.Errorf("analyzers %v", e)
		}
	}
}
