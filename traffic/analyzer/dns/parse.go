package dns

import (
	"encoding/binary"
	"strconv"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

const (
	headerLen = 12
	keepArena = 64 << 10 // bytes of decoded names kept between messages
	keepRRs   = 512      // records kept between messages
)

// parser holds the message at hand. One serves all connections of a worker.
type parser struct {
	msg Msg

	// For the time of one call of parse.
	cfg      *Config
	d        *dns
	c        analyzer.Conn
	b        []byte // the whole message
	off      int    // where we are in it
	respPort uint16
	skip     bool // records are parsed for their weirds only
	quiet    bool // weirds are not reported

	// What msg's slices point into. Grown slices leave the old ones behind, which
	// stay valid for the message at hand.
	arena   []byte
	strings [][]byte
	params  []Param
	note    [64]byte // additional text of a weird, valid for the call
}

// release forgets the message, and buffers that a hostile one has blown up.
func (p *parser) release() {
	p.b, p.c, p.d = nil, nil, nil
	if cap(p.arena) > keepArena {
		p.arena = nil
	}
	if cap(p.msg.Records) > keepRRs {
		p.msg.Records = nil
	}
	if cap(p.strings) > 4*keepRRs {
		p.strings = nil
	}
	if cap(p.params) > 4*keepRRs {
		p.params = nil
	}
}

// num returns n as text that is valid until the next one.
func (p *parser) num(n int) string {
	return value.Borrow(strconv.AppendInt(p.note[:0], int64(n), 10))
}

func (p *parser) weird(name, addl string) {
	if !p.quiet {
		p.c.Weird(name, addl, Source)
	}
}

// nums returns text with two numbers in it, valid until the next one.
func (p *parser) nums(before string, a int, between string, b int, after string) string {
	t := strconv.AppendInt(append(p.note[:0], before...), int64(a), 10)
	t = strconv.AppendInt(append(t, between...), int64(b), 10)
	return value.Borrow(append(t, after...))
}

// limit reports a weird about a limit that was reached.
func (p *parser) limit(name, addl string) {
	p.weird(name, addl)
	analyzer.ReachLimit(p.c)
}

// parse fills p.msg. It returns false if there is nothing to hand over.
func (p *parser) parse(d *dns, c analyzer.Conn, orig bool, data []byte) bool {
	p.cfg, p.d, p.c, p.b, p.off = &d.s.cfg, d, c, data, headerLen
	p.skip, p.quiet = false, false
	p.arena, p.strings, p.params = p.arena[:0], p.strings[:0], p.params[:0]
	if len(data) < headerLen {
		p.weird("DNS_truncated_len_lt_hdr_len", "")
		return false
	}
	id := c.ID()
	if !d.started {
		d.started = true
		d.netbios = id.OrigP == NetBIOSPort || id.RespP == NetBIOSPort
	}
	m := &p.msg
	m.header(data)
	m.NetBIOS = d.netbios
	if m.Opcode != OpQuery && m.Opcode != OpUpdate && m.Opcode != OpNotify && !d.netbios {
		p.limit("DNS_unknown_opcode", p.num(int(m.Opcode)))
		return false
	}
	if d.first && m.QR && orig && !multicast(&id.Resp) {
		if f, ok := c.(analyzer.Flipper); ok {
			f.Flip()
			id = c.ID()
		}
	}
	d.first = false
	p.respPort = id.RespP
	p.body(m)
	return true
}

// header reads the first twelve bytes and empties the rest.
func (m *Msg) header(b []byte) {
	u := binary.BigEndian.Uint16
	f := u(b[2:])
	*m = Msg{
		ID: u(b), Opcode: uint8(f>>11) & 15, Rcode: uint8(f) & 15, Z: uint8(f>>4) & 7,
		QR: f&0x8000 != 0, AA: f&0x400 != 0, TC: f&0x200 != 0, RD: f&0x100 != 0, RA: f&0x80 != 0, AD: f&0x20 != 0, CD: f&0x10 != 0,
		NumQuestions: u(b[4:]), NumAnswers: u(b[6:]), NumAuthority: u(b[8:]), NumAdditional: u(b[10:]),
		Len: len(b), Questions: m.Questions[:0], Records: m.Records[:0],
	}
}

// body parses what follows the header, up to the first error.
func (p *parser) body(m *Msg) {
	if limit := p.cfg.MaxQuestions; limit > 0 && int(m.NumQuestions) > limit {
		p.c.Violation(service, "DNS_Conn_count_too_large", nil)
		p.limit("DNS_Conn_count_too_large", p.nums("", int(m.NumQuestions), " > ", limit, ""))
		return
	}
	ok := false
	if m.Update() {
		ok = p.update(m)
	} else {
		ok = p.questions(int(m.NumQuestions)) && p.records(int(m.NumAnswers), SecAnswer)
	}
	if !ok {
		return
	}
	if !p.d.confirmed {
		p.d.confirmed = true
		p.c.Confirm(service)
	}
	auth, addl := p.cfg.Authority, p.cfg.Additional
	if m.NumAnswers > 0 {
		auth, addl = auth && m.NumAuthority > 0, addl && m.NumAdditional > 0
	}
	if !auth && !addl {
		return
	}
	if !m.Update() {
		p.skip = !auth
		if !p.records(int(m.NumAuthority), SecAuthority) {
			return
		}
	}
	if !addl {
		return
	}
	p.skip = false
	p.records(int(m.NumAdditional), SecAdditional)
}

// update parses the sections of a dynamic update (RFC 2136).
func (p *parser) update(m *Msg) bool {
	if m.NumQuestions != 1 {
		p.weird("DNS_DU_invalid_zone_count", p.num(int(m.NumQuestions)))
		return false
	}
	var zone RR
	if !p.rrHeader(&zone) {
		return false
	}
	if zone.Type != TypeSOA {
		p.weird("DNS_DU_incorrect_zone_type", "")
		m.NoEnd = true
		return false
	}
	m.Zone, m.ZoneClass = zone.Name, zone.Class
	return p.records(int(m.NumAnswers), SecPrerequisite) && p.records(int(m.NumAuthority), SecUpdate)
}

func (p *parser) questions(n int) bool {
	for ; n > 0; n-- {
		name, ok := p.nameRest(maxName, false)
		if !ok {
			return false
		}
		if len(p.b)-p.off < 4 {
			p.weird("DNS_truncated_quest_too_short", "")
			return false
		}
		lower := name
		if hasUpper(name) {
			start := len(p.arena)
			p.arena = append(p.arena, name...)
			lower = p.arena[start:len(p.arena):len(p.arena)]
			toLower(lower)
		}
		p.msg.Questions = append(p.msg.Questions, Question{Name: lower, Original: name, Type: p.u16(), Class: p.u16()})
	}
	return true
}

func (p *parser) records(n int, sec Section) bool {
	for ; n > 0; n-- {
		if !p.record(sec) {
			return false
		}
	}
	return true
}

// rrHeader reads name, type and class.
func (p *parser) rrHeader(r *RR) bool {
	name, ok := p.nameRest(maxName, true)
	if !ok {
		return false
	}
	if len(p.b)-p.off < 4 {
		p.weird("DNS_truncated_ans_too_short", "")
		return false
	}
	r.Name, r.Type, r.Class = name, p.u16(), p.u16()
	return true
}

// u8, u16 and u32 read a number. Where the message is too short they return 0
// and read nothing: Zeek does so, and what follows depends on it.
func (p *parser) u8() uint8 {
	if p.off+1 > len(p.b) {
		return 0
	}
	p.off++
	return p.b[p.off-1]
}

func (p *parser) u16() uint16 {
	if p.off+2 > len(p.b) {
		return 0
	}
	p.off += 2
	return binary.BigEndian.Uint16(p.b[p.off-2:])
}

func (p *parser) u32() uint32 {
	if p.off+4 > len(p.b) {
		return 0
	}
	p.off += 4
	return binary.BigEndian.Uint32(p.b[p.off-4:])
}

// bytes takes up to n bytes.
func (p *parser) bytes(n int) []byte {
	n = min(max(n, 0), len(p.b)-p.off)
	p.off += n
	return p.b[p.off-n : p.off : p.off]
}

func multicast(a *packet.Addr) bool { return a[0] == 0xff || a.Is4() && a[12]&0xf0 == 0xe0 }
