// Package dhcp reads DHCP for IPv4: messages with all their options.
//
// It stands between flow, which hands it datagrams, and policy, which implements
// Handler. It owns one parsed message for all connections of a worker and nothing
// per connection. It joins no messages to transactions: those cross connections
// and workers, and are policy's.
//
// Sources: RFC 2131 (messages), 2132 (options), 3046 (relay agents), 4702 (client's
// name), 4361 (client identifiers).
package dhcp

import (
	"encoding/binary"
	"strconv"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/zeek/value"
)

// service is the name in conn.log's service column.
const service = "dhcp"

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End
// it is given to another one.
type Handler interface {
	// Message hands over a message. m is borrowed.
	Message(c analyzer.Conn, orig bool, m *Msg)
	// End says that the connection is going.
	End(c analyzer.Conn)
}

// Msg is a message.
type Msg struct {
	Op, Type         uint8 // Type 0: there is none
	XID              uint32
	Secs, Flags      uint16
	Client, Yours    [4]byte // ciaddr, yiaddr
	Server, Relay    [4]byte // siaddr, giaddr
	Hardware         []byte  // 16 bytes, whatever the message says of their length
	ServerName, File []byte  // with what fills them up
	Options          []Option
	cookie           uint32
	typed            bool
}

// Option is an option in the order of the message; the mark of the end is left out.
type Option struct {
	Code  uint8
	Value []byte // what Zeek reads of it: the size of a number, whole addresses
}

// Options that are read by name.
const (
	Pad            = 0
	SubnetMask     = 1
	TimeOffset     = 2
	Routers        = 3
	TimeServers    = 4
	NameServers    = 5
	DNSServers     = 6
	HostName       = 12
	DomainName     = 15
	Forwarding     = 19
	Broadcast      = 28
	NTPServers     = 42
	Vendor         = 43
	NetBIOSServers = 44
	AddrRequest    = 50
	Lease          = 51
	MessageType    = 53
	ServerID       = 54
	Parameters     = 55
	Message        = 56
	MaxSize        = 57
	Renewal        = 58
	Rebinding      = 59
	VendorClass    = 60
	ClientID       = 61
	UserClass      = 77
	ClientFQDN     = 81
	RelayAgent     = 82
	AutoConfig     = 116
	AutoProxy      = 252
	end            = 255
)

// Find returns the value of the last option with this code.
func (m *Msg) Find(code uint8) (v []byte, ok bool) {
	for i := len(m.Options) - 1; i >= 0; i-- {
		if m.Options[i].Code == code {
			return m.Options[i].Value, true
		}
	}
	return nil, false
}

// AppendMAC appends a hardware address as Zeek shows it: of six bytes if it has
// six or the two behind are 0, else of eight; nothing if it has none of these.
func AppendMAC(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	switch {
	case len(b) == 6:
	case len(b) < 8:
		return dst
	case b[6] == 0 && b[7] == 0:
		b = b[:6]
	default:
		b = b[:8]
	}
	for i, c := range b {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// Filled returns a text without the zeros that fill it up. One of a single byte
// is none, as in Zeek.
func Filled(b []byte) []byte {
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	if n <= 1 {
		return nil
	}
	return b[:n]
}

// Factory returns the factory of one worker; it and all its analyzers are used
// by one goroutine. newHandler is called for an analyzer that is made, not for
// one that is used again.
func Factory(newHandler func() Handler) analyzer.Factory {
	s := &shared{free: freelist.New[*dhcp](maxFree)}
	port := func(n uint16) analyzer.Port { return analyzer.Port{Num: n, Proto: value.ProtoUDP} }
	return analyzer.Factory{
		Name:       "DHCP",
		Ports:      []analyzer.Port{port(67), port(4011), port(68)},
		Signatures: signatures.DHCP(),
		New: func(proto value.Proto) analyzer.Analyzer {
			a := s.free.Take()
			if a == nil {
				a = &dhcp{s: s, h: newHandler()}
			}
			a.stream = proto == value.ProtoTCP
			return a
		},
	}
}

const (
	// maxFree is how many finished analyzers are kept for reuse.
	maxFree = 1024
	// maxKept is how many options the shared message keeps room for.
	maxKept = 512
)

// shared is what the analyzers of a worker have in common.
type shared struct {
	msg    Msg
	reason []byte // scratch
	free   freelist.List[*dhcp]
}

// dhcp is the analyzer of one connection.
type dhcp struct {
	s      *shared
	h      Handler
	stream bool // a stream has no datagrams: it is not looked at
}

// magic is the cookie before the options.
const magic = 0x63825363

// Deliver implements analyzer.Analyzer.
func (a *dhcp) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if a.stream {
		return
	}
	m := &a.s.msg
	switch {
	case !m.parse(data):
		c.Violation(service, "message is cut or an option is wrong", nil)
	case m.Type == 0 && m.cookie == magic:
		// Zeek takes the analyzer off, but behind this message.
		c.Violation(service, "no DHCP message type option", nil)
		fallthrough
	case m.cookie == magic:
		a.h.Message(c, orig, m)
		c.Confirm(service)
	default:
		a.s.reason = strconv.AppendInt(append(a.s.reason[:0], "bad cookie ("...), int64(int32(m.cookie)), 10)
		a.s.reason = append(a.s.reason, ')')
		c.Violation(service, value.Borrow(a.s.reason), nil)
	}
	kept := m.Options
	if cap(kept) > maxKept {
		kept = nil
	}
	clear(kept[:cap(kept)])
	*m = Msg{Options: kept[:0]}
}

// Gap implements analyzer.Analyzer; there are none in UDP.
func (a *dhcp) Gap(analyzer.Conn, bool, uint64) {}

// End implements analyzer.Analyzer.
func (a *dhcp) End(c analyzer.Conn) {
	a.h.End(c)
	*a = dhcp{s: a.s, h: a.h}
	a.s.free.Keep(a)
}

// fixedLen is the length of a message up to its options, with the cookie.
const fixedLen = 240

// parse reads a message and reports whether it is whole.
func (m *Msg) parse(b []byte) bool {
	if len(b) < fixedLen {
		return false
	}
	m.Op = b[0]
	m.XID = binary.BigEndian.Uint32(b[4:])
	m.Secs, m.Flags = binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:])
	copy(m.Client[:], b[12:])
	copy(m.Yours[:], b[16:])
	copy(m.Server[:], b[20:])
	copy(m.Relay[:], b[24:])
	m.Hardware, m.ServerName, m.File = b[28:44:44], b[44:108:108], b[108:236:236]
	m.cookie = binary.BigEndian.Uint32(b[236:])
	for b = b[fixedLen:]; len(b) > 0; {
		code := b[0]
		b = b[1:]
		switch code {
		case end:
			return true
		case Pad:
			m.Options = append(m.Options, Option{Code: code})
			continue
		}
		if len(b) == 0 {
			return false
		}
		n, ok := size(code, int(b[0]))
		if b = b[1:]; !ok || n > len(b) {
			return false
		}
		v := b[:n:n]
		b = b[n:]
		if code == RelayAgent && !whole(v) {
			return false
		}
		if code == MessageType && !m.typed {
			m.typed, m.Type = true, v[0]
		}
		m.Options = append(m.Options, Option{code, v})
	}
	return false // no end
}

// size returns how many bytes the value of an option has. Zeek goes by the type:
// a number has its size whatever length is given.
func size(code uint8, n int) (int, bool) {
	switch code {
	case MessageType, Forwarding, AutoConfig:
		return 1, true
	case MaxSize:
		return 2, true
	case SubnetMask, TimeOffset, Broadcast, AddrRequest, Lease, ServerID, Renewal, Rebinding:
		return 4, true
	case Routers, TimeServers, NameServers, DNSServers, NTPServers, NetBIOSServers:
		return n / 4 * 4, true
	case ClientID:
		return n, n >= 1
	case ClientFQDN:
		return n, n >= 3
	}
	return n, true
}

// whole reports whether what a relay agent adds are whole options, one at least.
func whole(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		if len(b) < 2 || len(b)-2 < int(b[1]) {
			return false
		}
		b = b[2+int(b[1]):]
	}
	return true
}
