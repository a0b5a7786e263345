package brokerjson

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/zeek/value"
)

// DecodeValue returns the one value that payload holds. Other keys beside
// @data-type and data are ignored, so a WebSocket message, which adds type and
// topic, reads as its value. The error is of kind codec.ErrCorrupt.
func DecodeValue(payload []byte) (value.Value, error) {
	n, bad, at := parse(payload)
	if bad != "" {
		return value.Value{}, codec.Corrupt(Name, "%s at byte %d", bad, at)
	}
	var c converter
	v := c.value(&n)
	if c.bad != "" {
		return value.Value{}, codec.Corrupt(Name, "%s", c.bad)
	}
	return v, nil
}

// converter turns JSON into values. After the first fault bad says what it was.
type converter struct {
	seen int
	bad  string
}

func (c *converter) fail(what string) value.Value {
	if c.bad == "" {
		c.bad = what
	}
	return value.Value{}
}

// value needs no bound on depth: the parser has one.
func (c *converter) value(n *node) value.Value {
	if c.seen++; c.seen > codec.MaxValues {
		return c.fail("too many values")
	}
	typ, data := n.get("@data-type"), n.get("data")
	if typ == nil || typ.kind != jsonString || data == nil {
		return c.fail("a value without @data-type or data")
	}
	switch typ.text {
	case "none":
		return value.Value{}
	case "set":
		elems, unique := codec.Sorted(c.list(data))
		if !unique {
			return c.fail("the same element twice in a set")
		}
		return value.Set(elems)
	case "table":
		pairs, unique := codec.SortedPairs(c.pairs(data))
		if !unique {
			return c.fail("the same key twice in a table")
		}
		return value.Table(pairs)
	case "vector":
		return value.Vector(c.list(data))
	}
	v, ok := scalar(typ.text, data)
	if !ok {
		return c.fail("bad " + strconv.QuoteToASCII(typ.text[:min(len(typ.text), 32)]))
	}
	return v
}

func (c *converter) list(n *node) []value.Value {
	if n.kind != jsonArray {
		c.fail("elements are not an array")
		return nil
	}
	if c.bad != "" || len(n.list) == 0 {
		return nil
	}
	out := make([]value.Value, 0, len(n.list))
	for i := range n.list {
		out = append(out, c.value(&n.list[i]))
		if c.bad != "" {
			return nil
		}
	}
	return out
}

func (c *converter) pairs(n *node) []value.Value {
	if n.kind != jsonArray {
		c.fail("a table is not an array")
		return nil
	}
	var out []value.Value
	for i := range n.list {
		key, val := n.list[i].get("key"), n.list[i].get("value")
		if key == nil || val == nil {
			c.fail("a table entry without key or value")
			return nil
		}
		out = append(out, c.value(key), c.value(val))
		if c.bad != "" {
			return nil
		}
	}
	return out
}

func scalar(typ string, n *node) (v value.Value, ok bool) {
	switch typ {
	case "boolean":
		return value.Bool(n.text == "true"), n.kind == jsonBool
	case "count":
		u, err := strconv.ParseUint(n.text, 10, 64)
		return value.Count(u), n.kind == jsonInteger && err == nil
	case "integer":
		i, err := strconv.ParseInt(n.text, 10, 64)
		return value.Int(i), n.kind == jsonInteger && err == nil
	case "real":
		f, ok := parseReal(n.text)
		return value.Double(f), n.kind == jsonReal && ok
	}
	if n.kind != jsonString {
		return v, false
	}
	switch typ {
	case "string":
		return value.String(n.text), true
	case "enum-value":
		return value.Enum(n.text), true
	case "address":
		a, err := netip.ParseAddr(n.text)
		return value.Addr(a), err == nil && a.Zone() == ""
	case "subnet":
		return parseSubnet(n.text)
	case "port":
		return parsePort(n.text)
	case "timestamp":
		return parseTime(n.text)
	case "timespan":
		ns, ok := parseSpan(n.text)
		return value.IntervalNanos(ns), ok
	}
	return v, false
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
	for _, layout := range []string{timeLayout, timeLayout + "Z07:00"} {
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
