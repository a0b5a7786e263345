package dhcp

import (
	"encoding/binary"
	"math"

	wire "github.com/picket-nsm/picket/traffic/analyzer/dhcp"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// EventName is the event by which a worker tells the manager of a message:
// DHCP::aggregate_msgs(ts: time, id: conn_id, uid: string, is_orig: bool, msg:
// DHCP::Msg, options: DHCP::Options), Zeek's, with all its fields: either side may
// be a real Zeek.
const EventName = "DHCP::aggregate_msgs"

// Remote is the Place of a worker in a cluster: the manager.
type Remote struct {
	publish func(event.Event) error
	lost    func()
}

// NewRemote returns a Place that publishes. lost is called for each message that
// could not be, and may be nil.
func NewRemote(publish func(event.Event) error, lost func()) *Remote {
	return &Remote{publish: publish, lost: lost}
}

// Open implements Place: the rows are the manager's.
func (r *Remote) Open(Write, func(packet.Time, string, string)) {}

// Message implements Place.
func (r *Remote) Message(m *Message, raw *wire.Msg) {
	if err := r.publish(toEvent(m, raw)); err != nil && r.lost != nil {
		r.lost() // the bus has counted why
	}
}

// Advance implements Place.
func (r *Remote) Advance(packet.Time) {}

// Finish implements Place.
func (r *Remote) Finish() {}

// protoUDP is a conn_id's proto in events.
const protoUDP = 17

func toEvent(m *Message, raw *wire.Msg) event.Event {
	id := value.Record([]value.Value{
		value.Addr16(m.Orig), value.Port(m.OrigP, value.ProtoUDP), value.Addr16(m.Resp), value.Port(m.RespP, value.ProtoUDP),
		value.Count(protoUDP), value.Record([]value.Value{}),
	})
	msg := value.Record([]value.Value{
		value.Count(uint64(raw.Op)), value.Count(m.Type), value.Count(uint64(m.XID)), value.Interval(float64(raw.Secs)),
		value.Count(uint64(raw.Flags)), ip(raw.Client[:]), ip(raw.Yours[:]), ip(raw.Server[:]), ip(raw.Relay[:]),
		value.String(m.Hardware), value.String(string(wire.Filled(raw.ServerName))), value.String(string(wire.Filled(raw.File))),
	})
	return event.New(EventName, value.Time(m.TS), id, value.String(m.UID), value.Bool(m.IsOrig), msg, options(raw))
}

func ip(b []byte) value.Value { return value.Addr16(v4([4]byte(b))) }

// Places in Zeek's record DHCP::Options that are read here.
const (
	atHost      = 4
	atDomain    = 5
	atRequested = 10
	atLease     = 11
	atText      = 14
	atClientID  = 19
	atFQDN      = 21
	numOptions  = 29
)

// options makes Zeek's record DHCP::Options.
func options(raw *wire.Msg) value.Value {
	f := make([]value.Value, numOptions)
	codes := make([]value.Value, len(raw.Options))
	for i := range raw.Options {
		o := &raw.Options[i]
		codes[i] = value.Count(uint64(o.Code))
		if at, v := option(o); at > 0 {
			f[at] = v
		}
	}
	f[0] = value.Vector(codes)
	return value.Record(f)
}

// option returns an option's place in the record, 0 if it has none, and its value.
func option(o *wire.Option) (at int, v value.Value) {
	b := o.Value
	text := func() value.Value { return value.String(string(b)) }
	seconds := func() value.Value { return value.Interval(float64(binary.BigEndian.Uint32(b))) }
	switch o.Code {
	case wire.SubnetMask:
		return 1, ip(b)
	case wire.Routers:
		return 2, ips(b)
	case wire.DNSServers:
		return 3, ips(b)
	case wire.HostName:
		return atHost, text()
	case wire.DomainName:
		return atDomain, value.String(string(wire.Filled(b)))
	case wire.Forwarding:
		return 6, value.Bool(b[0] != 0)
	case wire.Broadcast:
		return 7, ip(b)
	case wire.Vendor:
		return 8, text()
	case wire.NetBIOSServers:
		return 9, ips(b)
	case wire.AddrRequest:
		return atRequested, ip(b)
	case wire.Lease:
		return atLease, seconds()
	case wire.ServerID:
		return 12, ip(b)
	case wire.Parameters:
		list := make([]value.Value, len(b))
		for i, c := range b {
			list[i] = value.Count(uint64(c))
		}
		return 13, value.Vector(list)
	case wire.Message:
		return atText, text()
	case wire.MaxSize:
		return 15, value.Count(uint64(binary.BigEndian.Uint16(b)))
	case wire.Renewal:
		return 16, seconds()
	case wire.Rebinding:
		return 17, seconds()
	case wire.VendorClass:
		return 18, text()
	case wire.ClientID:
		hw := value.String(string(b[1:]))
		if b[0] != 0 {
			hw = value.String(string(wire.AppendMAC(nil, b[1:])))
		}
		return atClientID, value.Record([]value.Value{value.Count(uint64(b[0])), hw})
	case wire.UserClass:
		return 20, text()
	case wire.ClientFQDN:
		return atFQDN, value.Record([]value.Value{
			value.Count(uint64(b[0])), value.Count(uint64(b[1])), value.Count(uint64(b[2])), value.String(string(b[3:])),
		})
	case wire.RelayAgent:
		return 22, relay(b)
	case wire.AutoConfig:
		return 23, value.Bool(b[0] != 0)
	case wire.AutoProxy:
		if n := len(b); n > 0 && b[n-1] == '\n' {
			b = b[:n-1]
		}
		return 24, text()
	case wire.TimeOffset:
		return 25, value.Int(int64(int32(binary.BigEndian.Uint32(b))))
	case wire.TimeServers:
		return 26, ips(b)
	case wire.NameServers:
		return 27, ips(b)
	case wire.NTPServers:
		return 28, ips(b)
	}
	return 0, value.Value{}
}

func ips(b []byte) value.Value {
	list := make([]value.Value, 0, len(b)/4)
	for ; len(b) >= 4; b = b[4:] {
		list = append(list, ip(b[:4]))
	}
	return value.Vector(list)
}

func relay(b []byte) value.Value {
	var list []value.Value
	for len(b) >= 2 {
		n := 2 + int(b[1])
		list = append(list, value.Record([]value.Value{value.Count(uint64(b[0])), value.String(string(b[2:n]))}))
		b = b[n:]
	}
	return value.Vector(list)
}

// FromEvent makes a message of an event as it arrived, and reports whether it
// could.
func FromEvent(e *event.Event) (m Message, ok bool) {
	if e.Name != EventName || len(e.Args) < 6 {
		return m, false
	}
	a := e.Args
	id, msg, opts := a[1].Elems(), a[4].Elems(), a[5].Elems()
	if a[0].Kind() != value.KindTime || a[2].Kind() != value.KindString || a[3].Kind() != value.KindBool ||
		!are(id, value.KindAddr, value.KindPort, value.KindAddr, value.KindPort) ||
		!are(msg, value.KindCount, value.KindCount, value.KindCount, value.KindInterval, value.KindCount,
			value.KindAddr, value.KindAddr, value.KindAddr, value.KindAddr, value.KindString) || len(opts) < numOptions {
		return m, false
	}
	m = Message{TS: exact(a[0].Nanos()), UID: a[2].Str(), IsOrig: a[3].Bool(),
		Orig: id[0].Addr16(), Resp: id[2].Addr16(), Type: msg[1].Count(), XID: uint32(msg[2].Count()),
		Yours: msg[6].Addr16(), Hardware: msg[9].Str()}
	m.OrigP, _ = id[1].Port()
	m.RespP, _ = id[3].Port()
	m.HostName, m.Domain, m.Text = str(opts[atHost]), str(opts[atDomain]), str(opts[atText])
	if v := opts[atRequested]; v.Kind() == value.KindAddr {
		m.Requested = v.Addr16()
	}
	if v := opts[atLease]; v.Kind() == value.KindInterval {
		m.HasLease, m.Lease = true, v.Float()
	}
	if v := opts[atClientID].Elems(); are(v, value.KindCount, value.KindString) && v[0].Count() == ethernet {
		m.Ethernet = str(v[1])
	}
	if v := opts[atFQDN].Elems(); are(v, value.KindCount, value.KindCount, value.KindCount, value.KindString) {
		m.FQDN = str(v[3])
	}
	return m, true
}

func str(v value.Value) optional {
	if v.Kind() != value.KindString {
		return optional{}
	}
	return optional{true, v.Str()}
}

// are reports whether values have these kinds; there may be more of them.
func are(vs []value.Value, kinds ...value.Kind) bool {
	if len(vs) < len(kinds) {
		return false
	}
	for i, k := range kinds {
		if vs[i].Kind() != k {
			return false
		}
	}
	return true
}

// exact returns the time that a sender's nanoseconds were made of. Of the two or
// three that could be, it is the one of whole microseconds, as most captures have.
func exact(ns int64) float64 {
	t := float64(ns) / 1e9
	best, off := t, math.Inf(1)
	for _, c := range [...]float64{t, math.Nextafter(t, 0), math.Nextafter(t, math.Inf(1))} {
		sec, frac := math.Modf(c)
		if d := math.Abs(sec + math.Round(frac*1e6)/1e6 - c); int64(c*1e9) == ns && d < off {
			best, off = c, d
		}
	}
	return best
}
