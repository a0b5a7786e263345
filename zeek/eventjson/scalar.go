package eventjson

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/picket-nsm/picket/zeek/value"
)

// digits passes a number and returns its text, and whether it has neither
// fraction nor exponent. Zeek writes inf and nan where a double is no number.
func (r *parser) digits() (text []byte, whole bool) {
	from := r.at
	run := func() int {
		at := r.at
		for r.at < len(r.p) && r.p[r.at] >= '0' && r.p[r.at] <= '9' {
			r.at++
		}
		return r.at - at
	}
	if r.is('-') {
		r.at++
	}
	if r.literal("inf") || r.literal("nan") {
		return r.p[from:r.at], false
	}
	whole = true
	if run() == 0 {
		r.fail("not a JSON value")
		return nil, false
	}
	if r.is('.') {
		whole = false
		if r.at++; run() == 0 {
			r.fail("no digits after the point")
			return nil, false
		}
	}
	if r.is('e') || r.is('E') {
		whole = false
		r.at++
		if r.is('+') || r.is('-') {
			r.at++
		}
		if run() == 0 {
			r.fail("no digits in the exponent")
			return nil, false
		}
	}
	return r.p[from:r.at], whole
}

func (r *parser) number(typ string) value.Value {
	if r.style == Named && typ == "real" && r.literal("null") {
		return value.Double(math.NaN())
	}
	text, whole := r.digits()
	if r.bad != "" {
		return value.Value{}
	}
	s := value.Borrow(text)
	switch {
	case typ == "count" && whole:
		if u, ok := parseUint(s); ok {
			return value.Count(u)
		}
	case typ == "integer" && whole:
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return value.Int(i)
		}
	case typ == "real" && (!whole || r.style == Named):
		if f, ok := parseReal(s); ok {
			return value.Double(f)
		}
	}
	return r.fail("bad number")
}

func parseUint(s string) (uint64, bool) {
	u, err := strconv.ParseUint(s, 10, 64)
	return u, err == nil
}

// parseReal reads a number; one too large becomes infinite.
func parseReal(s string) (float64, bool) {
	switch strings.TrimPrefix(s, "-") {
	case "nan":
		return math.NaN(), true
	case "inf":
		return math.Inf(1 - 2*strings.Count(s, "-")), true
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || math.IsInf(f, 0)
}

// scalar reads the types whose data is a string, but for strings. It keeps
// nothing of text.
func scalar(typ string, text []byte) (v value.Value, ok bool) {
	s := value.Borrow(text)
	switch typ {
	case "enum-value":
		return value.Enum(string(text)), true
	case "address":
		a, err := netip.ParseAddr(s)
		return value.Addr(a.WithZone("")), err == nil && a.Zone() == ""
	case "subnet":
		return parseSubnet(s)
	case "port":
		return parsePort(s)
	case "timestamp":
		return parseTime(s)
	case "timespan":
		ns, ok := parseSpan(s)
		return value.IntervalNanos(ns), ok
	}
	return v, false
}

func parseSubnet(s string) (v value.Value, ok bool) {
	host, length, found := strings.Cut(s, "/")
	a, err := netip.ParseAddr(host)
	if !found || err != nil || a.Zone() != "" {
		return v, false
	}
	bits, err := strconv.ParseUint(length, 10, 8)
	if err != nil || bits > uint64(a.BitLen()) {
		return v, false
	}
	if a.Is4() {
		bits += 96
	}
	v = value.Subnet(a.As16(), uint8(bits))
	return v, !v.Is4() || bits >= 96
}

// parsePort reads number/transport; without transport it is tcp.
func parsePort(s string) (v value.Value, ok bool) {
	num, name, found := strings.Cut(s, "/")
	n, err := strconv.ParseUint(num, 10, 16)
	if err != nil {
		return v, false
	}
	if !found {
		return value.Port(uint16(n), value.ProtoTCP), true
	}
	for p, suffix := range protoNames {
		if name == suffix[1:] {
			return value.Port(uint16(n), value.Proto(p)), true
		}
	}
	return v, false
}

// parseTime reads ISO 8601, UTC unless it says otherwise.
func parseTime(s string) (v value.Value, ok bool) {
	for _, layout := range [...]string{timeLayout, timeLayout + "Z07:00"} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		// Nanoseconds reach from 1678 to 2262.
		if y := t.Year(); y < 1678 || y > 2261 {
			return v, false
		}
		if i := strings.IndexByte(s, '.'); i >= 0 && fraction(s[i+1:]) > 9 || strings.IndexByte(s, ',') >= 0 {
			return v, false
		}
		return value.TimeNanos(t.UnixNano()), true
	}
	return v, false
}

func fraction(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// parseSpan reads a whole number and a unit.
func parseSpan(s string) (int64, bool) {
	i := len(s)
	for i > 0 && s[i-1] >= 'a' && s[i-1] <= 'z' {
		i--
	}
	var unit int64
	switch s[i:] {
	case "ns":
		unit = 1
	case "us":
		unit = 1e3
	case "ms":
		unit = 1e6
	case "s":
		unit = 1e9
	case "min":
		unit = 60e9
	case "h":
		unit = 3600e9
	default:
		return 0, false
	}
	n, err := strconv.ParseInt(s[:i], 10, 64)
	if err != nil || n > math.MaxInt64/unit || n < math.MinInt64/unit {
		return 0, false
	}
	return n * unit, true
}
