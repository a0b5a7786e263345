// Package dns reads DNS messages: over UDP one a datagram, over TCP with a
// length in front; NetBIOS name service, mDNS and LLMNR as well.
//
// It stands between flow, which hands it the bytes of a connection, and policy,
// which implements Handler. It owns the parsed message, one for all connections
// of a worker, and per connection only what is left of a message that TCP has
// cut. It parses as Zeek 9.0 does, with Zeek's weirds and Zeek's oddities, since
// its rows are compared with Zeek's. It never pairs queries with replies, keeps
// no names, and knows nothing of logs.
//
// Sources: RFC 1034, 1035, 1002, 2136, 4034, 5155, 6762, 6891, 8945, 9460.
package dns

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// Source is what DNS weirds show in their source column.
const Source = "DNS"

// service is the name in conn.log's service column.
const service = "dns"

// sessionTimeout is how many seconds of silence end a UDP connection.
const sessionTimeout = 10

// maxFree is how many finished analyzers are kept for reuse.
const maxFree = 1024

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End
// it is given to another one.
type Handler interface {
	// Message hands over a message, as far as it could be parsed. m is borrowed.
	Message(c analyzer.Conn, m *Msg)
	// End says that the connection is going: what is pending is reported now.
	End(c analyzer.Conn)
}

// Config is what a user may set.
type Config struct {
	MaxQuestions   int  // messages with more are given up; 0: no limit
	MaxCompression int  // how many compression pointers may follow each other
	Authority      bool // parse the authority section of answers
	Additional     bool // parse the additional section of answers
	Rare           bool // complain about bad HINFO, CAA and TKEY records; Zeek skips them unless a script wants them
}

// Default returns the settings of Zeek's default scripts.
func Default() Config { return Config{MaxQuestions: 25, MaxCompression: 20} }

// Factory returns the factory of one worker; it and all its analyzers are used
// by one goroutine. newHandler is called for an analyzer that is made, not for
// one that is used again.
func Factory(cfg Config, newHandler func() Handler) analyzer.Factory {
	s := &shared{cfg: cfg, free: freelist.New[*dns](maxFree)}
	return analyzer.Factory{
		Name: "DNS",
		Ports: []analyzer.Port{
			{Num: 53, Proto: value.ProtoUDP}, {Num: 53, Proto: value.ProtoTCP}, {Num: NetBIOSPort, Proto: value.ProtoUDP},
			{Num: 5353, Proto: value.ProtoUDP}, {Num: 5355, Proto: value.ProtoUDP},
		},
		New: func(proto value.Proto) analyzer.Analyzer {
			d := s.free.Take()
			if d == nil {
				d = &dns{s: s, h: newHandler()}
			}
			d.tcp = proto == value.ProtoTCP
			d.first = true
			return d
		},
		SessionTimeout: sessionTimeout,
	}
}

// shared is what the analyzers of a worker have in common.
type shared struct {
	cfg  Config
	p    parser
	free freelist.List[*dns]
}

// dns is the analyzer of one connection.
type dns struct {
	s         *shared
	h         Handler
	tcp       bool
	first     bool // no message was parsed yet
	started   bool // netbios is known
	netbios   bool
	confirmed bool
	busy      bool // a message is being parsed
	over      bool // End came while busy
	dir       [2]stream
}

// Deliver implements analyzer.Analyzer.
func (d *dns) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if d.tcp {
		d.stream(c, orig, data)
		return
	}
	d.message(c, orig, data)
}

// Gap implements analyzer.Analyzer. Zeek goes on after a gap as if nothing had
// happened, and so do we: the next bytes are taken for the missing ones.
func (d *dns) Gap(analyzer.Conn, bool, uint64) {}

// Closed implements analyzer.Closer: what is left of a message is parsed.
func (d *dns) Closed(c analyzer.Conn) {
	for i := range d.dir {
		s := &d.dir[i]
		if len(s.buf) > 0 {
			s.need = 0
			if !d.message(c, false, s.buf) {
				return
			}
		}
	}
}

// End implements analyzer.Analyzer.
func (d *dns) End(c analyzer.Conn) {
	if d.busy {
		d.over = true
		return
	}
	d.h.End(c)
	for i := range d.dir {
		d.dir[i].reset()
	}
	*d = dns{s: d.s, h: d.h, dir: d.dir}
	d.s.free.Keep(d)
}

// message parses one message and hands it to the handler. It returns false if
// the analyzer was ended meanwhile.
func (d *dns) message(c analyzer.Conn, orig bool, data []byte) bool {
	d.busy = true
	p := &d.s.p
	if p.parse(d, c, orig, data) {
		d.h.Message(c, &p.msg)
	}
	p.release()
	d.busy = false
	if d.over {
		d.over = false
		d.End(c)
		return false
	}
	return true
}
