package packet

import "strconv"

// Weird is something wrong with a packet, found while decoding it. Its Name is
// Zeek's.
type Weird struct {
	Name   string
	Source string // Zeek's analyzer name: IP, ETHERNET ...; empty: unset
	// Flow: the weird is about the packet's address pair Src, Dst. Else it is
	// about nothing but its name.
	Flow bool

	addl weirdAddl
	a, b uint32
}

// weirdAddl says how the additional text of a weird is made.
type weirdAddl uint8

const (
	addlNone    weirdAddl = iota
	addlNumber            // a
	addlMore              // (a > b)
	addlInner             // a fixed text
	addlVersion           // version=a
	addlProto             // proto=a
)

// Addl is the additional text of the weird, empty for none. It may allocate.
func (w *Weird) Addl() string {
	switch w.addl {
	case addlNumber:
		return strconv.Itoa(int(w.a))
	case addlMore:
		return "(" + strconv.Itoa(int(w.a)) + " > " + strconv.Itoa(int(w.b)) + ")"
	case addlInner:
		return "inner VLAN tag overwritten"
	case addlVersion:
		return "version=" + strconv.Itoa(int(w.a))
	case addlProto:
		return "proto=" + strconv.Itoa(int(w.a))
	}
	return ""
}

// note adds a weird; the fifth and later are left out.
func (p *Packet) note(w Weird) {
	if p.NWeirds < len(p.Weirds) {
		p.Weirds[p.NWeirds] = w
		p.NWeirds++
	}
}

// weird notes one about nothing but its name, found by a Zeek analyzer.
func (p *Packet) weird(name, source string) {
	p.note(Weird{Name: name, Source: source})
}
