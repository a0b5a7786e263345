package snmp

import (
	"strconv"

	"github.com/picket-nsm/picket/traffic/analyzer"
)

// Tags of BER that are asked for.
const (
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagOID      = 0x06
	tagSequence = 0x30

	tagAddress = 0x40
	tagTicks   = 0x43
	tagPDU     = 0xa0
)

// usm is the number of the user-based security model.
const usm = 3

// maxInteger is the longest INTEGER: an unsigned 64-bit number and its sign.
const maxInteger = 9

// parser reads one datagram. Once something is not as asked for, bad says what,
// and all that is asked gives nothing.
type parser struct {
	b    []byte // what is left
	bad  string
	msg  Msg
	c    analyzer.Conn
	h    Handler
	orig bool
}

func (p *parser) fail(why string) {
	if p.bad == "" {
		p.bad = why
	}
	p.b = nil
}

// meta reads a tag and a length.
func (p *parser) meta() (tag uint8, size uint64) {
	if len(p.b) < 2 {
		p.fail("value is cut")
		return 0, 0
	}
	tag, size = p.b[0], uint64(p.b[1])
	p.b = p.b[2:]
	if size&0x80 == 0 {
		return tag, size
	}
	n := int(size & 0x7f)
	if n > len(p.b) {
		p.fail("length is cut")
		return 0, 0
	}
	size = p.number(p.b[:n])
	p.b = p.b[n:]
	return tag, size
}

// number returns a number and reports one that is too long, as Zeek does each
// time it looks at one.
func (p *parser) number(content []byte) uint64 {
	if len(content) > 8 && p.bad == "" {
		p.h.Odd(p.c, "asn_binary_to_int64_shift_too_large", strconv.Itoa(len(content)))
	}
	return Unsigned(content)
}

// value reads a value whatever its tag.
func (p *parser) value() (tag uint8, content []byte) {
	tag, size := p.meta()
	if size > uint64(len(p.b)) {
		p.fail("value is cut")
		return 0, nil
	}
	content = p.b[:size:size]
	p.b = p.b[size:]
	return tag, content
}

// take reads a value with this tag.
func (p *parser) take(want uint8) []byte {
	tag, content := p.value()
	if p.bad == "" && tag != want {
		p.fail("another tag than asked for")
	}
	return content
}

func (p *parser) integer() []byte {
	content := p.take(tagInteger)
	if len(content) > maxInteger {
		p.fail("integer is too wide")
	}
	return content
}

// sequence reads the head of a sequence. Its length is not looked at.
func (p *parser) sequence() {
	if tag, _ := p.meta(); p.bad == "" && tag != tagSequence {
		p.fail("no sequence where one is due")
	}
}

// message reads all and tells the handler.
func (p *parser) message() {
	p.sequence()
	version := p.integer()
	if p.bad != "" {
		return
	}
	p.msg.Version = int64(p.number(version))
	plain := true
	switch p.msg.Version {
	case V1, V2c:
		p.msg.Community = p.take(tagOctets)
	case V3:
		plain = p.v3()
	default:
		plain = false
	}
	if p.bad != "" {
		return
	}
	if !p.orig {
		p.c.Confirm(service)
	}
	if plain {
		p.pdu()
	}
}

// v3 reads the header of version 3 and reports whether a body follows that can
// be read.
func (p *parser) v3() bool {
	p.sequence()
	p.ints(2) // id, largest message
	flags := p.take(tagOctets)
	model := p.integer()
	if p.bad != "" {
		return false
	}
	if len(flags) != 1 {
		p.c.Violation(service, "Invalid v3 HeaderData msgFlags", nil)
	}
	security := p.take(tagOctets)
	switch tag, _ := p.meta(); {
	case p.bad != "":
		return false
	case tag == tagSequence:
		p.take(tagOctets) // engine
		p.take(tagOctets) // name
		p.user(model, security)
		return p.bad == ""
	case tag == tagOctets:
		p.tell(Encrypted, tag)
	default:
		p.tell(UnknownScoped, tag)
	}
	// Only now is the security model looked at: the message was told without.
	p.user(model, security)
	return false
}

// user reads who it is by the user-based security model.
func (p *parser) user(model, security []byte) {
	if p.bad != "" || p.number(model) != usm {
		return
	}
	rest := p.b
	p.b = security
	p.sequence()
	p.take(tagOctets) // engine
	p.integer()       // its boots
	p.integer()       // its time
	user := p.take(tagOctets)
	p.take(tagOctets) // authentication
	p.take(tagOctets) // privacy
	if p.bad == "" {
		p.msg.User, p.b = user, rest
	}
}

// pdu reads a body.
func (p *parser) pdu() {
	tag, _ := p.meta()
	if p.bad != "" {
		return
	}
	kind := Kind(tag - tagPDU)
	switch {
	case tag < tagPDU || kind > Report:
		p.tell(Unknown, tag)
		return
	case kind == Trap:
		p.oid(p.take(tagOID)) // enterprise
		p.take(tagAddress)    // agent
		p.ints(2)             // generic, specific
		p.number(p.take(tagTicks))
	default:
		p.ints(3)
	}
	p.bindings()
	if p.bad == "" {
		p.tell(kind, tag)
	}
}

func (p *parser) ints(n int) {
	for range n {
		p.number(p.integer())
	}
}

// bindings reads variables to the end of the datagram.
func (p *parser) bindings() {
	p.sequence()
	for len(p.b) > 0 {
		p.sequence()
		name := p.take(tagOID)
		tag, content := p.value()
		p.msg.Bindings = append(p.msg.Bindings, Binding{name, tag, content})
	}
	if p.bad != "" {
		return
	}
	for i := range p.msg.Bindings {
		b := &p.msg.Bindings[i]
		p.oid(b.Name)
		switch b.Tag {
		case tagOID:
			p.oid(b.Value)
		case tagInteger, TagCounter32, TagUnsigned32, TagTicks, TagCounter64:
			p.number(b.Value)
		}
	}
}

// oid reports a name with a number that is too long.
func (p *parser) oid(content []byte) {
	if p.bad != "" || len(content) == 0 || content[len(content)-1]&0x80 != 0 {
		return
	}
	if n := longest(content); n > 0 {
		p.h.Odd(p.c, "asn_oid_subidentifier_too_long", strconv.Itoa(n))
	}
}

func (p *parser) tell(kind Kind, tag uint8) {
	p.msg.Kind, p.msg.Tag = kind, tag
	p.h.Message(p.c, p.orig, &p.msg)
}

// Tags of values that only SNMP has.
const (
	TagAddress    = tagAddress
	TagCounter32  = 0x41
	TagUnsigned32 = 0x42
	TagTicks      = tagTicks
	TagOpaque     = 0x44
	TagCounter64  = 0x46
)

// Type says how Zeek understands a value.
type Type uint8

// Types of values.
const (
	None    Type = iota // no value, or none to be had
	Name                // OBJECT IDENTIFIER
	Signed              // INTEGER
	Number              // counters, gauges, times
	Address             // IPv4
	Octets              // all others
)

// Type returns how Zeek understands the value.
func (b *Binding) Type() Type {
	switch b.Tag {
	case 0x05, 0x80, 0x81, 0x82: // null, no such object, no such instance, end of view
		return None
	case tagOID:
		return Name
	case tagInteger:
		return Signed
	case TagCounter32, TagUnsigned32, TagTicks, TagCounter64:
		return Number
	case TagAddress:
		return Address
	}
	return Octets
}
