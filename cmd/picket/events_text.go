package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/picket-nsm/picket/api/wsclient"
	"github.com/picket-nsm/picket/zeek/eventjson"
	"github.com/picket-nsm/picket/zeek/text"
	"github.com/picket-nsm/picket/zeek/value"
)

// appendEventText writes an event for people: topic, name(arguments).
func appendEventText(dst []byte, e wsclient.Event) []byte {
	dst = text.AppendUTF8(dst, []byte(e.Topic), false)
	dst = append(dst, ' ')
	dst = text.AppendUTF8(dst, []byte(e.Name), false)
	return append(appendElems(append(dst, '('), e.Args, false), ')')
}

func appendElems(dst []byte, vs []value.Value, pairs bool) []byte {
	for i, v := range vs {
		switch {
		case i == 0:
		case pairs && i%2 == 1:
			dst = append(dst, " = "...)
		default:
			dst = append(dst, ", "...)
		}
		dst = appendValueText(dst, v)
	}
	return dst
}

// appendValueText writes a value about as a script would.
func appendValueText(dst []byte, v value.Value) []byte {
	switch v.Kind() {
	case value.KindVoid:
		return append(dst, '-')
	case value.KindBool:
		if v.Bool() {
			return append(dst, 'T')
		}
		return append(dst, 'F')
	case value.KindCount:
		return strconv.AppendUint(dst, v.Count(), 10)
	case value.KindInt:
		if v.Int() >= 0 {
			dst = append(dst, '+')
		}
		return strconv.AppendInt(dst, v.Int(), 10)
	case value.KindDouble:
		return text.AppendDouble(dst, v.Float())
	case value.KindString:
		return strconv.AppendQuote(dst, v.Str())
	case value.KindSet:
		return append(appendElems(append(dst, '{'), v.Elems(), false), '}')
	case value.KindTable:
		return append(appendElems(append(dst, '{'), v.Elems(), true), '}')
	case value.KindVector, value.KindPattern:
		return append(appendElems(append(dst, '['), v.Elems(), false), ']')
	case value.KindRecord: // by field name
		fields := v.Elems()
		dst = append(dst, '[')
		for i := 0; i+1 < len(fields); i += 2 {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(text.AppendUTF8(append(dst, '$'), []byte(fields[i].Str()), false), '=')
			dst = appendValueText(dst, fields[i+1])
		}
		return append(dst, ']')
	}
	return append(dst, scalarText(v)...)
}

// scalarText is the text of address, subnet, port, time, interval and enum, as
// the API has it.
func scalarText(v value.Value) string {
	b, err := eventjson.AppendValue(nil, v, eventjson.Strict, nil)
	if err != nil {
		return "?"
	}
	s := string(b[strings.Index(string(b), `"data":`)+len(`"data":`) : len(b)-1])
	return strings.Trim(s, `"`)
}

// appendEventJSON writes an event as a JSON object without types.
func appendEventJSON(dst []byte, e wsclient.Event) []byte {
	dst = appendJSONString(append(dst, `{"topic":`...), e.Topic)
	dst = appendJSONString(append(dst, `,"event":`...), e.Name)
	return append(appendJSONList(append(dst, `,"args":`...), e.Args), '}')
}

func appendJSONList(dst []byte, vs []value.Value) []byte {
	dst = append(dst, '[')
	for i, v := range vs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONValue(dst, v)
	}
	return append(dst, ']')
}

func appendJSONValue(dst []byte, v value.Value) []byte {
	switch v.Kind() {
	case value.KindVoid:
		return append(dst, "null"...)
	case value.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case value.KindCount:
		return strconv.AppendUint(dst, v.Count(), 10)
	case value.KindInt:
		return strconv.AppendInt(dst, v.Int(), 10)
	case value.KindDouble:
		if f := v.Float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return strconv.AppendFloat(dst, f, 'g', -1, 64)
		}
		return append(dst, "null"...)
	case value.KindString:
		return appendJSONString(dst, v.Str())
	case value.KindSet, value.KindVector, value.KindPattern:
		return appendJSONList(dst, v.Elems())
	case value.KindTable, value.KindRecord:
		return appendJSONTable(dst, v.Elems())
	}
	return appendJSONString(dst, scalarText(v))
}

// appendJSONTable writes an object where all keys are strings, else pairs.
func appendJSONTable(dst []byte, pairs []value.Value) []byte {
	object := true
	for i := 0; i < len(pairs); i += 2 {
		object = object && pairs[i].Kind() == value.KindString
	}
	open, between, end := byte('{'), byte(':'), byte('}')
	if !object {
		open, between, end = '[', ',', ']'
	}
	dst = append(dst, open)
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !object {
			dst = append(dst, '[')
		}
		dst = append(appendJSONValue(dst, pairs[i]), between)
		dst = appendJSONValue(dst, pairs[i+1])
		if !object {
			dst = append(dst, ']')
		}
	}
	return append(dst, end)
}

// appendJSONString writes bytes that are no UTF-8 as the text \xHH.
func appendJSONString(dst []byte, s string) []byte {
	b, err := eventjson.AppendValue(nil, value.String(s), eventjson.Strict, nil)
	if err != nil {
		return append(dst, `""`...)
	}
	return append(dst, b[len(`{"@data-type":"string","data":`):len(b)-1]...)
}

// parseArg reads an argument of picket events pub: by its look, or with a type.
func parseArg(s string) (value.Value, error) {
	if typ, rest, ok := strings.Cut(s, ":"); ok {
		if v, known, err := parseTyped(typ, rest); known {
			return v, err
		}
	}
	switch s {
	case "T":
		return value.Bool(true), nil
	case "F":
		return value.Bool(false), nil
	}
	for _, typ := range []string{"count", "int", "double", "addr", "subnet", "port", "interval"} {
		if typ == "int" && !strings.HasPrefix(s, "-") && !strings.HasPrefix(s, "+") {
			continue
		}
		if v, _, err := parseTyped(typ, s); err == nil {
			return v, nil
		}
	}
	if t, err := parseTime(s); err == nil {
		return value.TimeNanos(t.UnixNano()), nil
	}
	return value.String(s), nil
}

// parseTime reads ISO 8601, UTC unless it says otherwise.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05.999999999", s)
	}
	return t, err
}

var errLook = errors.New("not of that type")

// apiType is the API's name of a type that is read as the API writes it.
func apiType(typ string) string {
	return map[string]string{"addr": "address", "subnet": "subnet", "port": "port", "enum": "enum-value"}[typ]
}

// parseTyped reads a value of a type. known: there is such a type.
func parseTyped(typ, s string) (v value.Value, known bool, err error) {
	switch typ {
	case "string":
		return value.String(s), true, nil
	case "bool":
		switch s {
		case "T", "true", "1":
			return value.Bool(true), true, nil
		case "F", "false", "0":
			return value.Bool(false), true, nil
		}
		return v, true, errLook
	case "count":
		n, err := strconv.ParseUint(s, 10, 64)
		return value.Count(n), true, err
	case "int":
		n, err := strconv.ParseInt(s, 10, 64)
		return value.Int(n), true, err
	case "double":
		if !regexp.MustCompile(`^[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?$`).MatchString(s) {
			return v, true, errLook
		}
		f, err := strconv.ParseFloat(s, 64)
		return value.Double(f), true, err
	case "interval":
		ns, err := parseInterval(s)
		return value.IntervalNanos(ns), true, err
	case "time":
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < math.MaxInt64/1e9 {
			sec, frac := math.Modf(f)
			return value.TimeNanos(int64(sec)*1e9 + int64(math.Round(frac*1e9))), true, nil
		}
		t, err := parseTime(s)
		return value.TimeNanos(t.UnixNano()), true, err
	case "set", "vector":
		var elems []value.Value
		for part := range strings.SplitSeq(s, ",") {
			if s == "" {
				break
			}
			e, err := parseArg(part)
			if err != nil {
				return v, true, err
			}
			elems = append(elems, e)
		}
		if typ == "set" {
			return value.Set(elems), true, nil
		}
		return value.Vector(elems), true, nil
	case "json":
		v, err := eventjson.ParseValue([]byte(s), eventjson.Named)
		return v, true, err
	}
	if api := apiType(typ); api != "" {
		if api == "port" && !strings.Contains(s, "/") || api == "address" && !isAddr(s) {
			return v, true, errLook
		}
		quoted := appendJSONString(nil, s)
		v, err := eventjson.ParseValue(fmt.Appendf(nil, `{"@data-type":%q,"data":%s}`, api, quoted), eventjson.Strict)
		if err != nil {
			err = errLook
		}
		return v, true, err
	}
	return v, false, nil
}

func isAddr(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == ""
}

var intervalForm = regexp.MustCompile(`^(-?[0-9]+(?:\.[0-9]+)?) ?(usecs?|msecs?|secs?|mins?|hrs?|days?)$`)

// parseInterval reads an interval as scripts have it: 90sec, 1.5 min, -2hrs.
func parseInterval(s string) (int64, error) {
	m := intervalForm.FindStringSubmatch(s)
	if m == nil {
		return 0, errLook
	}
	f, err := strconv.ParseFloat(m[1], 64)
	unit := map[string]time.Duration{"usec": time.Microsecond, "msec": time.Millisecond, "sec": time.Second, "min": time.Minute, "hr": time.Hour, "day": 24 * time.Hour}
	ns := f * float64(unit[strings.TrimSuffix(m[2], "s")])
	if err != nil || math.Abs(ns) >= math.MaxInt64 {
		return 0, errLook
	}
	return int64(ns), nil
}
