package irc

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/policy/await"
	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/irc"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// ending forgets what a session has offered when it ends, so that conversations do
// not touch each other.
type ending struct {
	wire.Handler
	log *Log
}

func (e ending) End(c analyzer.Conn) {
	e.Handler.End(c)
	e.log.expected = await.New[awaited](e.log.cfg.Transfers)
}

func harness(limit int) analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			log := New(Config{Transfers: limit}, rowstest.Note(rec, Schema()), nil)
			return wire.Factory(func() wire.Handler { return ending{log.Handler(), log} })
		},
		Allocs: 16,
		State:  16 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness(3)) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness(3)) }

// end is a connection with an id and a time of its own.
type end struct {
	*analyzertest.Recorder
	id  analyzer.ID
	all *[]string
}

func (e end) ID() analyzer.ID        { return e.id }
func (e end) Confirm(service string) { *e.all = append(*e.all, "confirm "+service) }
func (e end) Weird(name, addl, _ string) {
	*e.all = append(*e.all, "weird "+name)
}
func (e end) Expect(x analyzer.Expectation) {
	*e.all = append(*e.all, fmt.Sprintf("expect %d", x.RespP))
}

// The file of a direct connection is noted in the row of the session that
// offered it, also when that is over; once.
func TestTransfer(t *testing.T) {
	var all []string
	rec := &analyzertest.Recorder{Quiet: true}
	log := New(Default(), func(row []value.Value) { all = append(all, "row "+rowstest.Own(Schema(), row)) }, nil)
	tab := analyzertest.Files(rec, nil)
	control := end{rec, analyzer.ID{UID: "C1", Proto: value.ProtoTCP}, &all}
	a := wire.Factory(log.Handler).New(value.ProtoTCP)
	a.Deliver(control, true, []byte("NICK a\r\nPRIVMSG b :\x01DCC SEND f.txt 3221225985 1024 12\x01\r\nPRIVMSG b :\x01DCC SEND g 3221225985 1025\x01\r\nJOIN #x\r\n"))
	a.End(control)
	other := wire.Factory(log.Handler).New(value.ProtoTCP) // does not get the same row
	other.Deliver(control, true, []byte("NICK z\r\n"))

	connect := func(port uint16, data string) {
		c := end{rec, analyzer.ID{UID: "C2", Proto: value.ProtoTCP, RespP: port}, &all}
		copy(c.id.Resp[10:], []byte{0xff, 0xff, 192, 0, 2, 1})
		d := wire.DataFactory(tab, log.DataHandler).New(value.ProtoTCP)
		d.(analyzer.Opener).Open(c)
		d.Deliver(c, false, []byte(data))
		d.End(c)
	}
	connect(1024, "hello world\n")
	connect(1024, "hello again\n")
	connect(1025, "")
	connect(1025, "x")
	want := []string{
		`row command="NICK" value="a"`,
		"expect 1024", "expect 1025",
		`row nick="a" command="JOIN" value="#x" addl="" dcc_file_name="g" dcc_file_size=0`,
		`row command="NICK" value="z"`,
		"confirm irc-dcc-data",
	}
	var got []string
	for _, l := range all {
		if i := strings.Index(l, ` fuid="`); i >= 0 {
			l = l[:i]
		}
		if l != "confirm irc" {
			got = append(got, l)
		}
	}
	want = append(want, `row nick="a" command="DCC" value="#x" addl="" dcc_file_name="g" dcc_file_size=0 dcc_mime_type="text/plain"`,
		"confirm irc-dcc-data")
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if log.expected.Len() != 0 {
		t.Errorf("%d are still expected", log.expected.Len())
	}
}

// wall is the board between two logs.
type wall struct {
	read func(at packet.Time, data []byte)
	peer *wall
}

func (w *wall) Alone() bool { return false }
func (w *wall) Tell(_ string, at packet.Time, data []byte) {
	w.peer.read(at, append([]byte(nil), data...))
}
func (w *wall) Listen(_ string, read func(at packet.Time, data []byte)) { w.read = read }

// The session is one worker's, the direct connection another's: it is known there,
// and its row is written here. Once it is over, neither knows of it.
func TestAcrossWorkers(t *testing.T) {
	var rows, there []string
	left, right := &wall{}, &wall{}
	left.peer, right.peer = right, left
	a := New(Default(), func(row []value.Value) { rows = append(rows, rowstest.Own(Schema(), row)) }, left)
	b := New(Default(), func(row []value.Value) { t.Error("a row on the other worker") }, right)
	rec := &analyzertest.Recorder{Quiet: true}
	var all []string
	control := end{rec, analyzer.ID{UID: "C1", Proto: value.ProtoTCP}, &all}
	wire.Factory(a.Handler).New(value.ProtoTCP).Deliver(control, true, []byte("NICK a\r\nPRIVMSG b :\x01DCC SEND f.txt 3221225985 1024 12\x01\r\n"))

	tab := files.New(files.Default(), names{&there})
	c := end{rec, analyzer.ID{UID: "C2", Proto: value.ProtoTCP, RespP: 1024}, &all}
	copy(c.id.Resp[10:], []byte{0xff, 0xff, 192, 0, 2, 1})
	d := wire.DataFactory(tab, b.DataHandler).New(value.ProtoTCP)
	d.(analyzer.Opener).Open(c)
	d.Deliver(c, false, []byte("hello world\n"))
	d.End(c)
	if len(there) != 1 || !strings.HasPrefix(there[0], "f.txt ") {
		t.Fatalf("files there: %q", there)
	}
	want := `nick="a" command="DCC" value="a" dcc_file_name="f.txt" dcc_file_size=12 dcc_mime_type="text/plain" fuid="` + there[0][6:] + `"`
	if len(rows) != 2 || rows[1] != want {
		t.Errorf("rows %q, want %s", rows, want)
	}
	if !slices.Contains(all, "confirm irc-dcc-data") || a.expected.Len()+b.expected.Len() != 0 {
		t.Errorf("%q, %d and %d are expected", all, a.expected.Len(), b.expected.Len())
	}
}

// names notes the names of files.
type names struct{ all *[]string }

func (names) New(*files.File)         {}
func (names) Sniffed(*files.File)     {}
func (n names) Removed(f *files.File) { *n.all = append(*n.all, f.Name+" "+f.ID.String()) }

// What others tell may be anything.
func FuzzHear(f *testing.F) {
	f.Add([]byte("e\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01\x04\x00f.txt"))
	f.Add([]byte("t\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00a/b"))
	f.Add([]byte("f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x000123456789ab"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := New(Default(), func([]value.Value) {}, nil)
		l.expected.Put(await.Endpoint{}, awaited{i: &info{log: l}}, 1)
		l.hear(1, b)
	})
}

// Offers are bounded, and forgotten after some time.
func TestManyOffers(t *testing.T) {
	var all []string
	log := New(Config{Transfers: 100}, func([]value.Value) {}, nil)
	rec := &analyzertest.Recorder{Quiet: true}
	c := end{rec, analyzer.ID{UID: "C1", Proto: value.ProtoTCP}, &all}
	a := wire.Factory(log.Handler).New(value.ProtoTCP)
	for i := range 300 {
		a.Deliver(c, true, fmt.Appendf(nil, "PRIVMSG b :DCC SEND f 1 %d 1\r\n", i+1))
	}
	if n := log.expected.Len(); n != 100 {
		t.Errorf("%d are expected", n)
	}
	if all[len(all)-1] != "weird irc_max_dcc_expected_transfers_exceeded" {
		t.Error(all[len(all)-1])
	}
	if log.expected.Full(c.Now() + await.Patience) {
		t.Error("old ones are not forgotten")
	}
}

// The columns are those that real Zeek writes.
func TestRecordedHeader(t *testing.T) {
	rowstest.SameColumns(t, Schema(), "irc-dcc-first-command.pcap", "irc.log")
}
