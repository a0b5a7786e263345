// Package syslog reads syslog messages from datagrams.
//
// It stands between flow, which hands it datagrams, and policy, which implements
// Handler. It owns nothing but what it was given, and never looks into a message
// behind its priority.
//
// Sources: RFC 3164, 5424, 5426.
package syslog

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// Unspecified is the facility and severity of a message without a priority.
const Unspecified = 999

// maxFree is how many finished analyzers are kept for reuse.
const maxFree = 1024

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End
// it is given to another one.
type Handler interface {
	// Message hands over a message. m is borrowed.
	Message(c analyzer.Conn, m *Msg)
	// End says that the connection is going.
	End(c analyzer.Conn)
}

// Msg is a message. Text is what stands behind the priority.
type Msg struct {
	Facility, Severity int
	Text               []byte
}

// Factory returns the factory of one worker; it and all its analyzers are used
// by one goroutine. newHandler is called for an analyzer that is made, not for
// one that is used again.
func Factory(newHandler func() Handler) analyzer.Factory {
	s := &shared{free: freelist.New[*syslog](maxFree)}
	return analyzer.Factory{
		Name:  "SYSLOG",
		Ports: []analyzer.Port{{Num: 514, Proto: value.ProtoUDP}},
		New: func(proto value.Proto) analyzer.Analyzer {
			a := s.free.Take()
			if a == nil {
				a = &syslog{s: s, h: newHandler()}
			}
			a.stream = proto == value.ProtoTCP
			return a
		},
	}
}

// shared is what the analyzers of a worker have in common.
type shared struct {
	msg  Msg
	free freelist.List[*syslog]
}

// syslog is the analyzer of one connection.
type syslog struct {
	s      *shared
	h      Handler
	stream bool // a stream has no datagrams: it is not looked at
}

// Deliver implements analyzer.Analyzer.
func (a *syslog) Deliver(c analyzer.Conn, _ bool, data []byte) {
	if a.stream || len(data) == 0 {
		return
	}
	m := &a.s.msg
	if !m.parse(data) {
		c.Violation("syslog", "priority is not a number in angle brackets", nil)
		return
	}
	a.h.Message(c, m)
	*m = Msg{}
}

// parse reads a message. One that begins with < needs a priority; one that does
// not may do without.
func (m *Msg) parse(data []byte) bool {
	*m = Msg{Facility: Unspecified, Severity: Unspecified, Text: data}
	if data[0] != '<' {
		return true
	}
	pri, i := 0, 1
	for ; i < len(data) && data[i] >= '0' && data[i] <= '9'; i++ {
		pri = (pri*10 + int(data[i]-'0')) & 0xffffff // a facility has seven bits
	}
	if i == 1 || i == len(data) || data[i] != '>' {
		return false
	}
	m.Facility, m.Severity, m.Text = pri>>3&0x7f, pri&7, data[i+1:]
	return true
}

// Gap implements analyzer.Analyzer; there are none in UDP.
func (a *syslog) Gap(analyzer.Conn, bool, uint64) {}

// End implements analyzer.Analyzer.
func (a *syslog) End(c analyzer.Conn) {
	a.h.End(c)
	a.s.free.Keep(a)
}
