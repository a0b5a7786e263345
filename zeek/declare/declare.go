// Package declare holds what a Zeek script declares of events: which there are,
// what their parameters are called, and of what types. Neither names nor types
// travel with an event (wire.md section 2.4), so whoever wants to check one, or
// to show its records by field name, needs the declaration.
//
// It stands beside zeek/event, for the doors. A Set is data that is read once
// and never changed; Parse reads the declarations out of a script and skips all
// else. Nothing here runs a script.
package declare

import (
	"errors"
	"fmt"
	"slices"

	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// ErrMismatch is the kind of error about an event that does not fit.
var ErrMismatch = errors.New("event does not fit its declaration")

// Type is a declared type. A nil Type is one that is not known: everything fits it.
type Type struct {
	Kind   value.Kind // KindAny: everything fits
	Name   string     // of a record or enum
	Index  []*Type    // types of the index of a set or table; of the parts of a list
	Result *Type      // what a table yields, what a vector holds
	Fields []Field    // of a record
	Values []string   // of an enum, by full name; empty: any

	key *Type // of a set or table: the type that one key travels as
}

// Field is a field of a record or a parameter of an event.
type Field struct {
	Name     string
	Type     *Type
	Optional bool
}

// Event is a declared event.
type Event struct {
	Name   string // with module
	Params []Field
}

// Set is the events of some scripts.
type Set struct{ events map[string]*Event }

// Event returns the declaration of that name, or nil. A nil Set has none.
func (s *Set) Event(name string) *Event {
	if s == nil {
		return nil
	}
	return s.events[name]
}

// Names returns the names of all events, sorted.
func (s *Set) Names() []string {
	var all []string
	if s != nil {
		for n := range s.events {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// Param returns the type of parameter i, or nil. A nil Event has none.
func (e *Event) Param(i int) *Type {
	if e == nil || i >= len(e.Params) {
		return nil
	}
	return e.Params[i].Type
}

// IsRecord reports whether the type is a record.
func (t *Type) IsRecord() bool { return t != nil && t.Kind == value.KindRecord }

// Key is what an element of a set or a key of a table travels as: its index, or
// a list of several. It is nil for other types.
func (t *Type) Key() *Type {
	if t == nil {
		return nil
	}
	return t.key
}

// Yield is what a table yields.
func (t *Type) Yield() *Type {
	if t == nil || t.Kind != value.KindTable {
		return nil
	}
	return t.Result
}

// Elem is the type of element i of what travels as a list: a set, a vector, a
// record, or an index of several parts.
func (t *Type) Elem(i int) *Type {
	if t == nil {
		return nil
	}
	switch t.Kind {
	case value.KindSet:
		return t.key
	case value.KindVector:
		return t.Result
	case value.KindRecord:
		if i < len(t.Fields) {
			return t.Fields[i].Type
		}
	case value.KindList:
		if i < len(t.Index) {
			return t.Index[i]
		}
	}
	return nil
}

// indexed sets the index of a set or table.
func (t *Type) indexed(index []*Type) *Type {
	t.Index = index
	if len(index) == 1 {
		t.key = index[0]
	} else {
		t.key = &Type{Kind: value.KindList, Index: index}
	}
	return t
}

// Fit checks that an event is declared and that its arguments are what Zeek
// would take for the declared parameters: no conversions, records by position,
// more fields than declared are fine. Records that came by field name
// (eventjson.Named) get their positions; the arguments of e are then a new
// slice. The error is of kind ErrMismatch.
func (s *Set) Fit(e *event.Event) error {
	d := s.Event(e.Name)
	if d == nil {
		return fmt.Errorf("%w: no event %s is declared", ErrMismatch, e.Name)
	}
	if len(e.Args) != len(d.Params) {
		return fmt.Errorf("%w: %s has %d parameters, not %d", ErrMismatch, e.Name, len(d.Params), len(e.Args))
	}
	args := e.Args
	for i := range args {
		v, changed, bad := fit(&args[i], d.Params[i].Type)
		if bad != "" {
			return fmt.Errorf("%w: parameter %s of %s: %s", ErrMismatch, d.Params[i].Name, e.Name, bad)
		}
		if changed {
			if &args[0] == &e.Args[0] {
				args = slices.Clone(args)
			}
			args[i] = v
		}
	}
	e.Args = args
	return nil
}

// Positional reports whether no value in vs is a record by field name.
func Positional(vs []value.Value) bool {
	for i := range vs {
		if vs[i].Kind() == value.KindRecord || !Positional(vs[i].Elems()) {
			return false
		}
	}
	return true
}

// fit says what is wrong with v as a t, if anything. changed: out replaces it.
func fit(v *value.Value, t *Type) (out value.Value, changed bool, bad string) {
	k := v.Kind()
	if k == value.KindVoid {
		return out, false, "unset"
	}
	if t == nil || t.Kind == value.KindAny {
		if !Positional([]value.Value{*v}) {
			return out, false, "a record by field names, but its type is not known"
		}
		return out, false, ""
	}
	wrong := func() (value.Value, bool, string) {
		return out, false, fmt.Sprintf("a %s, not a %s", name(k), t)
	}
	elems := v.Elems()
	switch t.Kind {
	case value.KindRecord:
		return fitRecord(v, t)
	case value.KindFile:
		if k != value.KindString {
			return wrong()
		}
	case value.KindEnum:
		if k != value.KindEnum {
			return wrong()
		}
		if len(t.Values) > 0 && !slices.Contains(t.Values, v.Str()) {
			return out, false, fmt.Sprintf("%s has no value %s", t, v.Str())
		}
	case value.KindPattern:
		if k != value.KindVector && k != value.KindPattern || len(elems) != 2 || elems[0].Kind() != value.KindString || elems[1].Kind() != value.KindString {
			return wrong()
		}
	case value.KindFunc, value.KindOpaque:
		if k != value.KindVector || len(elems) == 0 || len(elems) > 2 || elems[0].Kind() != value.KindString {
			return wrong()
		}
	case value.KindSet, value.KindVector, value.KindTable, value.KindList:
		want := t.Kind
		if want == value.KindList {
			want = value.KindVector
		}
		if k != want || t.Kind == value.KindList && len(elems) != len(t.Index) {
			return wrong()
		}
		return fitElems(v, t)
	default:
		if k != t.Kind {
			return wrong()
		}
	}
	return out, false, ""
}

func fitElems(v *value.Value, t *Type) (out value.Value, changed bool, bad string) {
	elems := v.Elems()
	fresh := elems
	for i := range elems {
		et := t.Elem(i)
		if t.Kind == value.KindTable {
			if et = t.key; i%2 == 1 {
				et = t.Result
			}
		}
		e, c, bad := fit(&elems[i], et)
		if bad != "" {
			return out, false, bad
		}
		if c {
			if !changed {
				fresh, changed = slices.Clone(elems), true
			}
			fresh[i] = e
		}
	}
	if !changed {
		return out, false, ""
	}
	switch v.Kind() {
	case value.KindSet:
		sorted, unique := value.Sorted(fresh)
		if !unique {
			return out, false, "the same element twice in a set"
		}
		return value.Set(sorted), true, ""
	case value.KindTable:
		sorted, unique := value.SortedPairs(fresh)
		if !unique {
			return out, false, "the same key twice in a table"
		}
		return value.Table(sorted), true, ""
	}
	return value.Vector(fresh), true, ""
}

// fitRecord takes a record by position (a vector) or by name (a record of name,
// value, name, value ...).
func fitRecord(v *value.Value, t *Type) (out value.Value, changed bool, bad string) {
	elems := v.Elems()
	fields := make([]value.Value, len(t.Fields))
	switch v.Kind() {
	case value.KindVector:
		if len(elems) < len(t.Fields) {
			return out, false, fmt.Sprintf("%s has %d fields, not %d", t, len(t.Fields), len(elems))
		}
		copy(fields, elems)
	case value.KindRecord:
		changed = true
		for i := 0; i+1 < len(elems); i += 2 {
			at := slices.IndexFunc(t.Fields, func(f Field) bool { return f.Name == elems[i].Str() })
			if at < 0 {
				return out, false, fmt.Sprintf("%s has no field %s", t, elems[i].Str())
			}
			fields[at] = elems[i+1]
		}
	default:
		return out, false, fmt.Sprintf("a %s, not a %s", name(v.Kind()), t)
	}
	for i := range fields {
		if !fields[i].IsSet() {
			// By position Zeek unsets even what is not optional. By name it is
			// more likely forgotten.
			if changed && !t.Fields[i].Optional && v.Kind() == value.KindRecord {
				return out, false, fmt.Sprintf("%s needs the field %s", t, t.Fields[i].Name)
			}
			continue
		}
		f, c, bad := fit(&fields[i], t.Fields[i].Type)
		if bad != "" {
			return out, false, t.Fields[i].Name + ": " + bad
		}
		if c {
			fields[i], changed = f, true
		}
	}
	if !changed {
		return out, false, ""
	}
	return value.Vector(fields), true, ""
}

// String writes a type as a script does, records and enums by name.
func (t *Type) String() string {
	if t == nil {
		return "any"
	}
	if t.Name != "" {
		return t.Name
	}
	list := func(ts []*Type) string {
		s := ""
		for i, x := range ts {
			if i > 0 {
				s += ", "
			}
			s += x.String()
		}
		return s
	}
	switch t.Kind {
	case value.KindSet:
		return "set[" + list(t.Index) + "]"
	case value.KindTable:
		return "table[" + list(t.Index) + "] of " + t.Result.String()
	case value.KindVector:
		return "vector of " + t.Result.String()
	case value.KindList:
		return "[" + list(t.Index) + "]"
	}
	return name(t.Kind)
}

// name is a kind's word in scripts.
func name(k value.Kind) string {
	for word, kind := range words() {
		if kind == k {
			return word
		}
	}
	switch k {
	case value.KindSet:
		return "set"
	case value.KindTable:
		return "table"
	case value.KindVector:
		return "vector"
	case value.KindRecord:
		return "record"
	case value.KindEnum:
		return "enum"
	case value.KindOpaque:
		return "opaque"
	}
	return "value of another type"
}

// words are the types that are one word.
func words() map[string]value.Kind {
	return map[string]value.Kind{
		"bool": value.KindBool, "int": value.KindInt, "count": value.KindCount, "double": value.KindDouble,
		"time": value.KindTime, "interval": value.KindInterval, "string": value.KindString, "pattern": value.KindPattern,
		"port": value.KindPort, "addr": value.KindAddr, "subnet": value.KindSubnet, "any": value.KindAny,
		"file": value.KindFile, "func": value.KindFunc,
	}
}
