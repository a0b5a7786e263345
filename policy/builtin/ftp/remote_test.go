package ftp

import (
	"strings"
	"testing"

	wire "github.com/picket-nsm/picket/traffic/analyzer/ftp"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

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

// link is a connection that notes its service.
type link struct {
	id      analyzer.ID
	now     packet.Time
	service string
}

func (l *link) ID() analyzer.ID                  { return l.id }
func (l *link) Now() packet.Time                 { return l.now }
func (l *link) Weird(string, string, string)     {}
func (l *link) Confirm(s string)                 { l.service = s }
func (l *link) Violation(string, string, []byte) {}

type noFiles struct{}

func (noFiles) New(*files.File)     {}
func (noFiles) Sniffed(*files.File) {}
func (noFiles) Removed(*files.File) {}

// The control connection is one worker's, the data connection another's: it is
// known there, and what it brought is in the row here. Once it is over, neither
// knows of it.
func TestAcrossWorkers(t *testing.T) {
	var rows []string
	here, there := &wall{}, &wall{}
	here.peer, there.peer = there, here
	a := New(Default(), Deps{Board: here, Write: func(row []value.Value) {
		rows = append(rows, strings.Join([]string{row[colCommand].Str(), row[colMIME].Str(), row[colFUID].Str()}, " "))
	}})
	b := New(Default(), Deps{Board: there})

	control := &link{id: analyzer.ID{UID: "CControl", Orig: packet.Addr{15: 1}, Resp: packet.Addr{15: 2}, RespP: 21, Proto: value.ProtoTCP}, now: 100}
	s := a.Handler()
	s.Reply(control, &wire.Reply{Code: 220})
	s.Request(control, &wire.Request{Command: []byte("PASV")})
	s.Reply(control, &wire.Reply{Code: 227, Text: []byte("(10,0,0,3,1,0)")})
	s.Request(control, &wire.Request{Command: []byte("RETR"), Arg: []byte("x")})

	data := &link{id: analyzer.ID{UID: "CData", Orig: packet.Addr{15: 1}, Resp: packet.Addr{10: 0xff, 11: 0xff, 12: 10, 15: 3}, RespP: 256, Proto: value.ProtoTCP}, now: 101}
	f := wire.DataFactory(files.New(files.Default(), noFiles{}), b.DataHandler)
	d := f.New(value.ProtoTCP)
	d.(analyzer.Opener).Open(data)
	if data.service != "ftp-data" {
		t.Errorf("service %q", data.service)
	}
	d.Deliver(data, false, []byte("#!/bin/sh\n"))
	d.End(data)
	s.Reply(control, &wire.Reply{Code: 226})
	s.End(control)
	if len(rows) != 2 || rows[0] != "PASV  " || !strings.HasPrefix(rows[1], "RETR text/x-shellscript F") {
		t.Errorf("rows %q", rows)
	}
	if a.expected.Len()+b.expected.Len()+len(a.shared) != 0 {
		t.Error("something is left")
	}
}

// FuzzHear takes what other workers may tell: anything.
func FuzzHear(f *testing.F) {
	for _, s := range []string{"", "e", "e0123456789abcdef01CUID", "o0123456789abcdef01", "f0123456789abCUID", "ttext/plain\x00CUID", "t"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := New(Default(), Deps{})
		l.shared["CUID"] = &session{log: l}
		l.hear(1, data)
	})
}

// A row that is due before the news of its file waits for them; what was seen
// after it was due is of the next command, whose row has none of it here.
func TestHeldRow(t *testing.T) {
	var rows []string
	l := New(Default(), Deps{Board: &wall{peer: &wall{read: func(packet.Time, []byte) {}}}, Write: func(row []value.Value) {
		rows = append(rows, strings.Join([]string{row[colCommand].Str(), row[colMIME].Str(), row[colFUID].Str()}, " "))
	}})
	c := &link{id: analyzer.ID{UID: "CControl", Resp: packet.Addr{15: 2}, RespP: 21, Proto: value.ProtoTCP}, now: 100}
	s := l.Handler()
	say := func(at packet.Time, command string, code int, text string) {
		c.now = at
		s.Request(c, &wire.Request{Command: []byte(command)})
		s.Reply(c, &wire.Reply{Code: code, Text: []byte(text)})
	}
	s.Reply(c, &wire.Reply{Code: 220})
	say(101, "PASV", 227, "(10,0,0,3,1,0)")
	say(102, "RETR", 226, "")
	say(103, "NOOP", 200, "") // the row is due
	id := files.IDFromBytes([]byte("abcdefghijkl")).AppendBytes(nil)
	news := func(at packet.Time, b ...byte) { l.hear(at, append(b, "CControl"...)) }
	news(102.5, append([]byte("f"), id...)...)
	news(102.9, []byte("ttext/plain\x00")...)
	news(103.5, []byte("tlate/type\x00")...)
	l.Advance(103.5)
	if len(rows) != 1 {
		t.Fatalf("rows %q", rows)
	}
	l.Advance(104)
	say(105, "STOR", 226, "")
	news(105.5, []byte("ttheir/type\x00")...)
	say(106, "STOR", 226, "")
	say(107, "NOOP", 200, "")
	s.End(c)
	want := []string{"PASV  ", "RETR text/plain " + files.IDFromBytes(id).String(), "STOR their/type ", "STOR  "}
	if strings.Join(rows, "|") != strings.Join(want, "|") {
		t.Errorf("rows %q, want %q", rows, want)
	}
	if len(l.rows) != 0 {
		t.Error("a row is left")
	}
}
