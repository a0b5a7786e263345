package jsonl_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/logs/sink/jsonl"
	"github.com/picket-nsm/picket/logs/sink/sinktest"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

func TestKit(t *testing.T) {
	sinktest.Run(t, jsonl.Factory(), sinktest.Features{Recorded: "json"})
}

func BenchmarkConn(b *testing.B) { sinktest.Bench(b, jsonl.Factory()) }

func line(t *testing.T, c jsonl.Config, s *record.Schema, row ...value.Value) string {
	t.Helper()
	var e record.Encoder
	e.Reset(s)
	if err := e.Append(row); err != nil {
		t.Fatal(err)
	}
	cur, err := record.Open(e.Finish())
	if err != nil {
		t.Fatal(err)
	}
	f, err := jsonl.New(c)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := f.Rows(nil, cur)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

func TestEverything(t *testing.T) {
	rows := sinktest.Rows()
	for i, want := range []string{
		`{"ts":1700000000.123456,"b":true,"i":-5,"c":18446744073709551615,"d":3.0,"iv":566666666.7078186,"s":"plain","e":"Notice::ACTION_LOG","id.orig_p":443,"id.orig_h":"10.0.0.1","net":"2001:db8::1/32","fn":"f","file":"/x","ss":["a","b,c"],"vc":[1,null]}`,
		`{"ts":1.0}`,
	} {
		if got := line(t, jsonl.Default(), sinktest.Everything(), rows[i]...); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for _, row := range rows {
		if got := line(t, jsonl.Default(), sinktest.Everything(), row...); !json.Valid([]byte(got)) {
			t.Errorf("not JSON: %s", got)
		}
	}
	all := jsonl.Default()
	all.IncludeUnset = true
	if got := line(t, all, sinktest.Everything(), rows[1]...); !strings.HasPrefix(got, `{"ts":1.0,"b":null,"i":null`) {
		t.Errorf("got %s", got)
	}
	one := record.New("X::LOG", "x", record.Of("a", value.KindCount))
	if got := line(t, jsonl.Default(), one, value.Value{}); got != "{}" {
		t.Errorf("got %s", got)
	}
}

func TestDoubles(t *testing.T) {
	s := record.New("X::LOG", "x", record.Of("d", value.KindDouble))
	for f, want := range map[float64]string{
		0: "0.0", 1: "1.0", 0.1: "0.1", 1e20: "100000000000000000000.0", 1e21: "1e21", 1.5e21: "1.5e21", 1e-5: "0.00001", 1e-6: "0.000001", 1e-7: "1e-7",
		1.5e-7: "1.5e-7", 123.456: "123.456", -2.5: "-2.5", 1e300: "1e300", 5e-324: "5e-324", math.MaxFloat64: "1.7976931348623157e308",
		math.Inf(1): "null", 1356999848.591964: "1356999848.591964",
	} {
		if got := line(t, jsonl.Default(), s, value.Double(f)); got != `{"d":`+want+`}` {
			t.Errorf("%g: got %s, want %s", f, got, want)
		}
	}
	if got := line(t, jsonl.Default(), s, value.Double(math.Copysign(0, -1))); got != `{"d":-0.0}` {
		t.Errorf("-0: got %s", got)
	}
}

func TestTimes(t *testing.T) {
	s := record.New("X::LOG", "x", record.Of("t", value.KindTime))
	for _, c := range []struct {
		format string
		sec    float64
		want   string
	}{
		{"epoch", 1700000000.5, "1700000000.5"},
		{"millis", 1700000000.1239, "1700000000123"},
		{"millis", -1.5, "-1500"},
		{"millis_unsigned", 1.5, "1500"},
		{"millis_unsigned", -1, "18446744073709550616"},
		{"iso8601", 1700000000.5, `"2023-11-14T22:13:20.500000Z"`},
		{"iso8601", 0.000001, `"1970-01-01T00:00:00.000001Z"`},
		{"iso8601", -0.25, `"1969-12-31T23:59:59.750000Z"`},
		{"iso8601", math.NaN(), `"2000-01-01T00:00:00.000000"`},
	} {
		cfg := jsonl.Default()
		cfg.Times = c.format
		if got := line(t, cfg, s, value.Time(c.sec)); got != `{"t":`+c.want+`}` {
			t.Errorf("%s %v: got %s, want %s", c.format, c.sec, got, c.want)
		}
	}
}

func TestStrings(t *testing.T) {
	s := record.New("X::LOG", "x", record.Of("s", value.KindString))
	for _, c := range []struct{ policy, in, want string }{
		{"hex", "a\"b\\c/", `a\"b\\c/`},
		{"hex", "tab\t\n\r\b\f", `tab\t\n\r\b\f`},
		{"hex", "ñ\n", `ñ\n`},
		{"hex", "ñ\xff", `\\xc3\\xb1\\xff`},
		{"hex", "ñ\x00", `\\xc3\\xb1\\x00`},
		{"hex", `\xff`, `\\xff`},
		{"pua", "ñ\xff\x01\n", `ñ\udb80\udcff\udb80\udc01\n`},
		{"tsv", "a\\b\n", `a\\\\b\\x0a`},
		{"tsv", "ñ\\\xff", `ñ\\\\\\xff`},
	} {
		cfg := jsonl.Default()
		cfg.Escape = c.policy
		if got := line(t, cfg, s, value.String(c.in)); got != `{"s":"`+c.want+`"}` {
			t.Errorf("%s %q: got %s, want %s", c.policy, c.in, got, c.want)
		}
	}
	if _, err := jsonl.New(jsonl.Config{Times: "epoch", Escape: "none"}); err == nil {
		t.Error("unknown policy taken")
	}
	if _, err := jsonl.New(jsonl.Config{Times: "x", Escape: "hex"}); err == nil {
		t.Error("unknown time format taken")
	}
}
