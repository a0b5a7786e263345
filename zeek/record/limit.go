package record

import "github.com/picket-nsm/picket/zeek/value"

// Limits bound what one row may carry; 0 is no limit. They are Zeek's
// (wire.md section 3.4); some streams have others.
type Limits struct {
	String   int // bytes of one string
	Strings  int // bytes of all strings of a row
	Elems    int // elements of one container
	AllElems int // elements of all containers of a row
}

// DefaultLimits returns Zeek's.
func DefaultLimits() Limits {
	return Limits{String: 4096, Strings: 256000, Elems: 100, AllElems: 500}
}

// StreamLimits returns the limits of a stream whose others have all: those of
// http.log cut no single string, since a URI may be long.
func StreamLimits(stream string, all Limits) Limits {
	switch {
	case stream == "HTTP::LOG":
		all.String = 0
	case stream == "X509::LOG" && all.Elems > 0:
		all.Elems, all.AllElems = 500, 1500
	}
	return all
}

// Limit cuts strings and containers of a row in place, first come first
// served as Zeek does, and returns how many it cut. Element slices are
// shortened, and elements of a cut string are replaced, in the row's own
// slices. Enum, func and file names are not cut.
func Limit(row []value.Value, l Limits) (strings, containers int) {
	short := l.Strings // all strings of a row together are within both limits
	if l.String > 0 && (short == 0 || l.String < short) {
		short = l.String
	}
	var bytes, elems int
	for i := range row {
		v := &row[i]
		k, _, _, _, s := value.Scalar(v)
		switch k {
		case value.KindString:
			if bytes+len(s) <= short {
				bytes += len(s)
				continue
			}
			strings += cutString(v, l, &bytes)
		case value.KindSet, value.KindVector:
			es := v.Elems()
			n := allowed(len(es), l.Elems, l.AllElems, elems)
			if n < len(es) {
				es = es[:n]
				containers++
				if v.Kind() == value.KindSet {
					*v = value.Set(es)
				} else {
					*v = value.Vector(es)
				}
			}
			for j := range es {
				if es[j].Kind() == value.KindString {
					strings += cutString(&es[j], l, &bytes)
				}
			}
			elems += n
		}
	}
	return strings, containers
}

func cutString(v *value.Value, l Limits, total *int) int {
	s := v.Str()
	n := allowed(len(s), l.String, l.Strings, *total)
	*total += n
	if n == len(s) {
		return 0
	}
	*v = value.String(s[:n])
	return 1
}

// allowed returns how much of size fits under a field's and the row's limit.
func allowed(size, field, all, used int) int {
	if field > 0 {
		size = min(size, field)
	}
	if all > 0 {
		size = min(size, all-used)
	}
	return size
}
