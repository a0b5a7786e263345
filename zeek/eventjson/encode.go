package eventjson

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/picket-nsm/picket/zeek/declare"
	"github.com/picket-nsm/picket/zeek/text"
	"github.com/picket-nsm/picket/zeek/value"
)

// AppendValue appends one value. t, which only Named looks at, is its declared
// type or nil. On an error, of kind ErrValue, dst comes back as it was. Doubles
// keep six decimals and times milliseconds, as in Zeek.
func AppendValue(dst []byte, v value.Value, s Style, t *declare.Type) ([]byte, error) {
	w := writer{style: s}
	out := w.value(dst, &v, t, 1)
	if w.bad != "" {
		return dst, fmt.Errorf("%w: %s", ErrValue, w.bad)
	}
	return out, nil
}

// writer appends values. After the first fault bad says what it was.
type writer struct {
	style Style
	bad   string
}

func (w *writer) fail(dst []byte, what string) []byte {
	if w.bad == "" {
		w.bad = what
	}
	return dst
}

func open(dst []byte, typ string) []byte {
	dst = append(dst, `{"@data-type":"`...)
	dst = append(dst, typ...)
	return append(dst, `","data":`...)
}

// value counts depth in levels of JSON, of which readers take MaxDepth: a value
// is an object, which may hold an array of values, or of objects of values.
func (w *writer) value(dst []byte, v *value.Value, t *declare.Type, depth int) []byte {
	if depth+1 > MaxDepth {
		return w.fail(dst, "values are nested too deep")
	}
	kind, aux, n, _, str := value.Scalar(v)
	switch kind {
	case value.KindVoid:
		dst = append(open(dst, "none"), '{', '}')
	case value.KindBool:
		dst = strconv.AppendBool(open(dst, "boolean"), n != 0)
	case value.KindCount:
		dst = strconv.AppendUint(open(dst, "count"), n, 10)
	case value.KindInt:
		dst = strconv.AppendInt(open(dst, "integer"), int64(n), 10)
	case value.KindDouble:
		dst = w.real(open(dst, "real"), math.Float64frombits(n))
	case value.KindString, value.KindFile:
		dst = w.stringValue(dst, str)
	case value.KindAddr:
		dst = append(text.AppendAddr(append(open(dst, "address"), '"'), v.Addr()), '"')
	case value.KindSubnet:
		bits := int(aux)
		if v.Is4() {
			bits -= 96
		}
		if bits < 0 || bits > 128 {
			return w.fail(dst, "impossible prefix length")
		}
		dst = append(text.AppendSubnet(append(open(dst, "subnet"), '"'), v.Addr(), bits), '"')
	case value.KindPort:
		if value.Proto(aux) > value.ProtoICMP {
			return w.fail(dst, "unknown transport")
		}
		dst = strconv.AppendUint(append(open(dst, "port"), '"'), uint64(uint16(n)), 10)
		dst = append(append(dst, protoNames[aux]...), '"')
	case value.KindTime:
		dst = appendTime(append(open(dst, "timestamp"), '"'), v.Nanos())
		dst = append(dst, '"')
	case value.KindInterval:
		dst = append(appendSpan(append(open(dst, "timespan"), '"'), v.Nanos()), '"')
	case value.KindEnum:
		dst = w.quote(open(dst, "enum-value"), str)
	case value.KindFunc:
		dst = w.list(open(dst, "vector"), []value.Value{value.String(str)}, nil, depth)
	case value.KindSet:
		elems, unique := value.Sorted(v.Elems())
		if !unique {
			return w.fail(dst, "the same element twice in a set")
		}
		dst = w.list(open(dst, "set"), elems, t, depth)
	case value.KindTable:
		dst = w.table(open(dst, "table"), v.Elems(), t, depth)
	case value.KindVector, value.KindRecord, value.KindPattern:
		if w.style == Named && t.IsRecord() && len(v.Elems()) >= len(t.Fields) {
			dst = w.record(open(dst, "record"), v.Elems(), t, depth)
		} else {
			dst = w.list(open(dst, "vector"), v.Elems(), t, depth)
		}
	default:
		return w.fail(dst, "a value of this type cannot travel")
	}
	return append(dst, '}')
}

var protoNames = [...]string{"/?", "/tcp", "/udp", "/icmp"}

// list writes the elements of a value of type t.
func (w *writer) list(dst []byte, elems []value.Value, t *declare.Type, depth int) []byte {
	dst = append(dst, '[')
	for i := range elems {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst = w.value(dst, &elems[i], t.Elem(i), depth+2); w.bad != "" {
			return dst
		}
	}
	return append(dst, ']')
}

func (w *writer) table(dst []byte, pairs []value.Value, t *declare.Type, depth int) []byte {
	if len(pairs)%2 != 0 {
		return w.fail(dst, "a table key without value")
	}
	pairs, unique := value.SortedPairs(pairs)
	if !unique {
		return w.fail(dst, "the same key twice in a table")
	}
	dst = append(dst, '[')
	for i := 0; i < len(pairs) && w.bad == ""; i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = w.value(append(dst, `{"key":`...), &pairs[i], t.Key(), depth+3)
		dst = w.value(append(dst, `,"value":`...), &pairs[i+1], t.Yield(), depth+3)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// record writes the fields that are set. What is beyond the declared ones has
// no name and is left out, as a receiver in Zeek would.
func (w *writer) record(dst []byte, fields []value.Value, t *declare.Type, depth int) []byte {
	dst = append(dst, '{')
	some := false
	for i := range t.Fields {
		if !fields[i].IsSet() {
			continue
		}
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = append(w.quote(dst, t.Fields[i].Name), ':')
		if dst = w.value(dst, &fields[i], t.Fields[i].Type, depth+2); w.bad != "" {
			return dst
		}
	}
	return append(dst, '}')
}

func (w *writer) real(dst []byte, f float64) []byte {
	if !math.IsNaN(f) && !math.IsInf(f, 0) {
		return text.AppendFixed6(dst, f)
	}
	switch {
	case w.style == Zeek:
		// Zeek would write a word that nobody reads.
		return w.fail(dst, "NaN and infinity cannot be written as JSON")
	case math.IsNaN(f):
		return append(dst, "null"...)
	case f < 0:
		return append(dst, "-1e999"...)
	}
	return append(dst, "1e999"...)
}

func (w *writer) stringValue(dst []byte, s string) []byte {
	if w.style == Named && !utf8.ValidString(s) {
		dst = append(open(dst, "bytes"), '"')
		dst = base64.StdEncoding.AppendEncode(dst, []byte(s))
		return append(dst, '"')
	}
	return w.quote(open(dst, "string"), s)
}

func (w *writer) quote(dst []byte, s string) []byte {
	if w.style == Zeek {
		return appendZeek(dst, s)
	}
	return appendStrict(dst, s)
}

// appendZeek quotes s as Zeek does: seven short escapes, one of them the \v
// that JSON does not know, and everything else raw.
func appendZeek(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		e := byte(0)
		switch c {
		case '"', '\\':
			e = c
		case '\v':
			e = 'v'
		default:
			if e = text.ShortEscape(c); e == 0 {
				continue
			}
		}
		dst = append(append(dst, s[from:i]...), '\\', e)
		from = i + 1
	}
	return append(append(dst, s[from:]...), '"')
}

// appendStrict quotes s so that the result is JSON and UTF-8 whatever s is.
func appendStrict(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		switch e := text.ShortEscape(c); {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case e != 0:
			dst = append(dst, '\\', e)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, '\\')
			dst = text.AppendHex(dst, c)
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

const hexDigits = "0123456789abcdef"

const timeLayout = "2006-01-02T15:04:05"

// appendTime writes UTC cut to milliseconds; before 1970 these are 000.
func appendTime(dst []byte, ns int64) []byte {
	t := time.Unix(ns/1e9, 0).UTC()
	dst = append(t.AppendFormat(dst, timeLayout), '.')
	ms := max(ns%1e9/1e6, 0)
	return append(dst, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

// appendSpan writes a whole number of the largest unit that loses nothing.
func appendSpan(dst []byte, ns int64) []byte {
	switch {
	case ns%1e9 == 0:
		return append(strconv.AppendInt(dst, ns/1e9, 10), 's')
	case ns%1e6 == 0:
		return append(strconv.AppendInt(dst, ns/1e6, 10), "ms"...)
	case ns%1e3 == 0:
		return append(strconv.AppendInt(dst, ns/1e3, 10), "us"...)
	}
	return append(strconv.AppendInt(dst, ns, 10), "ns"...)
}
