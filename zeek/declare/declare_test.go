package declare_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/zeek/declare"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

const script = `
# A comment; with a semicolon.
@load base/frameworks/cluster
redef Log::default_rotation_interval = 0sec;
const re = /a"b;/ | /c\/d/;
module Gold;

export {
	type Kind: enum { ONE = 1, TWO &deprecated="x;y", Other::THREE };
	## A record.
	type Rec: record {
		a: count &log;
		b: string &optional &log;
		c: count &default=5;
	};
	redef enum Log::ID += { LOG };
	global ping: event(msg: string, n: count) &is_used;
	option x = set(1, 2);
}
redef record Rec += { d: addr &optional; };
global many: event(r: Rec, k: Kind, s: set[count], t: table[string, count] of vector of Rec, p: transport_proto, q: pattern, f: file, u: Unknown::Type);
global f: function(a: count): string;
function g(a: count): string { local x = "};"; if ( a / 2 > 1 ) { return "a"; } else { return "b"; } }
event handled(a: set[addr] &default=set(), b: opaque of md5) &priority=5 { print fmt("%s;", a); }
event Other::thing%(x: any%);
module GLOBAL;
global bare: event();
type after: record { x: Gold::Rec; };
global later: event(x: after);
`

func parse(t *testing.T, text string) *declare.Set {
	t.Helper()
	s, err := declare.Parse(declare.File{Name: "x.zeek", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse(t *testing.T) {
	s := parse(t, script)
	if got, want := strings.Join(s.Names(), " "), "Gold::handled Gold::many Gold::ping Other::thing bare later"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var types []string
	for _, p := range s.Event("Gold::many").Params {
		types = append(types, p.Name+": "+p.Type.String())
	}
	want := "r: Gold::Rec, k: Gold::Kind, s: set[count], t: table[string, count] of vector of Gold::Rec, p: transport_proto, q: pattern, f: file, u: any"
	if got := strings.Join(types, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	rec := s.Event("later").Params[0].Type.Fields[0].Type
	if len(rec.Fields) != 4 || rec.Fields[3].Name != "d" || !rec.Fields[1].Optional || !rec.Fields[2].Optional || rec.Fields[0].Optional {
		t.Errorf("%+v", rec.Fields)
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"global e: event(a);":                                   `x.zeek:1: want ":", not ")"`,
		"type R: record { a: count":                             `x.zeek:1: want "}" after a, not ""`,
		"\n\ntype R: set[count;":                                `x.zeek:3: want "]", not ";"`,
		"type E: enum { A B };":                                 `x.zeek:1: want ",", not "B"`,
		"global e: event(a: vector);":                           `x.zeek:1: want "of", not ")"`,
		"type X: " + strings.Repeat("vector of ", 100) + "int;": "x.zeek:1: types are nested too deep",
	} {
		_, err := declare.Parse(declare.File{Name: "x.zeek", Text: text})
		if err == nil || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

func TestFit(t *testing.T) {
	s := parse(t, script)
	vec := func(v ...value.Value) value.Value { return value.Vector(v) }
	cnt, str, none := value.Count, value.String, value.Value{}
	rec := vec(cnt(1), none, none, none)
	named := value.Record([]value.Value{str("c"), cnt(2), str("a"), cnt(1)})
	many := func(change func([]value.Value)) event.Event {
		args := []value.Value{rec, value.Enum("Gold::ONE"), value.Set([]value.Value{cnt(1)}),
			value.Table([]value.Value{vec(str("a"), cnt(1)), vec(rec)}), value.Enum("udp"), vec(str("a"), str("b")), str("f"), value.Bool(true)}
		if change != nil {
			change(args)
		}
		return event.New("Gold::many", args...)
	}
	for name, c := range map[string]struct {
		e   event.Event
		bad string
	}{
		"fits":            {many(nil), ""},
		"more fields":     {many(func(a []value.Value) { a[0] = vec(cnt(1), none, none, none, str("new")) }), ""},
		"by name":         {many(func(a []value.Value) { a[0] = named }), ""},
		"by name, nested": {many(func(a []value.Value) { a[3] = value.Table([]value.Value{vec(str("a"), cnt(1)), vec(rec, named)}) }), ""},
		"undeclared":      {event.New("Gold::nope"), "no event Gold::nope is declared"},
		"count":           {event.New("Gold::ping", str("a")), "Gold::ping has 2 parameters, not 1"},
		"type":            {event.New("Gold::ping", cnt(1), cnt(1)), "parameter msg of Gold::ping: a count, not a string"},
		"int for count":   {event.New("Gold::ping", str("a"), value.Int(1)), "parameter n of Gold::ping: a int, not a count"},
		"unset":           {event.New("Gold::ping", str("a"), none), "parameter n of Gold::ping: unset"},
		"short record":    {many(func(a []value.Value) { a[0] = vec(cnt(1)) }), "parameter r of Gold::many: Gold::Rec has 4 fields, not 1"},
		"field":           {many(func(a []value.Value) { a[0] = vec(str("x"), none, none, none) }), "parameter r of Gold::many: a: a string, not a count"},
		"no such field":   {many(func(a []value.Value) { a[0] = value.Record([]value.Value{str("z"), cnt(1)}) }), "parameter r of Gold::many: Gold::Rec has no field z"},
		"field missing":   {many(func(a []value.Value) { a[0] = value.Record([]value.Value{str("c"), cnt(1)}) }), "parameter r of Gold::many: Gold::Rec needs the field a"},
		"enum":            {many(func(a []value.Value) { a[1] = value.Enum("Gold::FOUR") }), "parameter k of Gold::many: Gold::Kind has no value Gold::FOUR"},
		"set":             {many(func(a []value.Value) { a[2] = vec(cnt(1)) }), "parameter s of Gold::many: a vector, not a set[count]"},
		"index":           {many(func(a []value.Value) { a[3] = value.Table([]value.Value{vec(str("a")), vec(rec)}) }), "parameter t of Gold::many: a vector, not a [string, count]"},
		"pattern":         {many(func(a []value.Value) { a[5] = str("x") }), "parameter q of Gold::many: a string, not a pattern"},
		"name of any":     {many(func(a []value.Value) { a[7] = named }), "parameter u of Gold::many: a record by field names, but its type is not known"},
	} {
		e := c.e
		before := e.Args
		err := s.Fit(&e)
		if c.bad == "" {
			if err != nil || !declare.Positional(e.Args) {
				t.Errorf("%s: %v, %+v", name, err, e.Args)
			}
			continue
		}
		if !errors.Is(err, declare.ErrMismatch) || err.Error() != declare.ErrMismatch.Error()+": "+c.bad {
			t.Errorf("%s: %v", name, err)
		}
		if len(before) > 0 && &before[0] != &e.Args[0] {
			t.Errorf("%s: changed", name)
		}
	}
	e := many(func(a []value.Value) { a[0] = named })
	if err := s.Fit(&e); err != nil || e.Args[0].Elems()[0].Count() != 1 || e.Args[0].Elems()[2].Count() != 2 || len(e.Args[0].Elems()) != 4 {
		t.Errorf("%+v, %v", e.Args[0], err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(script)
	f.Add("type A: record { a: A; };")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := declare.Parse(declare.File{Name: "f", Text: text})
		if err != nil {
			return
		}
		for _, n := range s.Names() {
			e := event.New(n)
			for range s.Event(n).Params {
				e.Args = append(e.Args, value.Vector([]value.Value{value.Count(1)}))
			}
			_ = s.Fit(&e)
			for _, p := range s.Event(n).Params {
				_ = p.Type.String()
			}
		}
	})
}
