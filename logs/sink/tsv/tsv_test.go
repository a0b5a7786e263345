package tsv_test

import (
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/logs/sink"
	"github.com/picket-nsm/picket/logs/sink/sinktest"
	"github.com/picket-nsm/picket/logs/sink/tsv"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

func TestKit(t *testing.T) {
	sinktest.Run(t, tsv.Factory(), sinktest.Features{Header: true, Footer: true, Recorded: "tsv"})
}

func BenchmarkConn(b *testing.B) { sinktest.Bench(b, tsv.Factory()) }

var opened = time.Date(2026, 11, 21, 20, 22, 12, 0, time.UTC)

func file(t *testing.T, c tsv.Config, s *record.Schema, rows ...[]value.Value) string {
	t.Helper()
	var e record.Encoder
	e.Reset(s)
	for _, row := range rows {
		if err := e.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	cur, err := record.Open(e.Finish())
	if err != nil {
		t.Fatal(err)
	}
	f, err := tsv.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var _ sink.Format = f
	b, n, err := f.Rows(f.Header(nil, s, opened), cur)
	if err != nil || n != len(rows) {
		t.Fatal(n, err)
	}
	return string(f.Footer(b, opened.Add(time.Second)))
}

func TestEverything(t *testing.T) {
	want := strings.Join([]string{
		`#separator \x09`,
		"#set_separator\t,",
		"#empty_field\t(empty)",
		"#unset_field\t-",
		`#path	every\x20thing`,
		"#open\t2026-11-21-20-22-12",
		"#fields\tts\tb\ti\tc\td\tiv\ts\te\tid.orig_p\tid.orig_h\tnet\tfn\tfile\tss\tvc",
		"#types\ttime\tbool\tint\tcount\tdouble\tinterval\tstring\tenum\tport\taddr\tsubnet\tfunc\tfile\tset[string]\tvector[count]",
		"1700000000.123456\tT\t-5\t18446744073709551615\t3.0\t566666666.707819\tplain\tNotice::ACTION_LOG\t443\t10.0.0.1\t2001:db8::1/32\tf\t/x\ta,b\\x2cc\t1,-",
		"1.000000\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-",
		"0.000000\tT\t-5\t18446744073709551615\t0.1\t0.000000\t(empty)\tNotice::ACTION_LOG\t443\t10.0.0.1\t2001:db8::1/32\tf\t/x\t(empty)\t(empty)",
		"-1.500000\tT\t-5\t18446744073709551615\t-0\t-0.500000\t" + `tab\x09newline\x0aback\\slash` + "\tNotice::ACTION_LOG\t443\t10.0.0.1\t2001:db8::1/32\tf\t/x\t" + `\x2d,\x28empty),(empty)` + "\t-",
		"#close\t2026-11-21-20-22-13", "",
	}, "\n")
	if got := file(t, tsv.Default(), sinktest.Everything(), sinktest.Rows()[:4]...); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestStrings(t *testing.T) {
	s := record.New("S::LOG", "s", record.Of("s", value.KindString), record.Of("v", value.KindVector, value.KindString))
	raw := tsv.Default()
	raw.NoUTF8 = true
	names := tsv.Default()
	names.Names = true
	none := tsv.Default()
	none.NoMeta = true
	for _, c := range []struct {
		name string
		c    tsv.Config
		in   string
		want string
	}{
		{"utf8", none, "ñ", "ñ\tñ"},
		{"bad byte", none, "ñ\xff", `\xc3\xb1\xff` + "\t" + `\xc3\xb1\xff`},
		{"control spoils its segment", none, "ñ\n\\ñ", `\xc3\xb1\x0a\\ñ` + "\t" + `\xc3\xb1\x0a\\ñ`},
		{"set separator ends a segment", none, "ñ\n,ñ", `\xc3\xb1\x0a,\xc3\xb1` + "\t" + `\xc3\xb1\x0a\x2cñ`},
		{"line begins like a header", none, "#x", "\\x23x\t#x"},
		{"no utf8", raw, "ñ", ""},
		{"names", names, "x", "s\tv\nx\tx"},
	} {
		got := file(t, c.c, s, []value.Value{value.String(c.in), value.Vector([]value.Value{value.String(c.in)})})
		if c.name == "no utf8" {
			if !strings.Contains(got, "\n\\xc3\\xb1\t\\xc3\\xb1\n") {
				t.Errorf("%s: got %q", c.name, got)
			}
			continue
		}
		if got != c.want+"\n" {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, change := range []func(*tsv.Config){
		func(c *tsv.Config) { c.Separator = "" },
		func(c *tsv.Config) { c.SetSeparator = "\t" },
		func(c *tsv.Config) { c.Separator = "\n" },
		func(c *tsv.Config) { c.Unset = "(empty)" },
		func(c *tsv.Config) { c.MetaPrefix = "" },
	} {
		c := tsv.Default()
		change(&c)
		if _, err := tsv.New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
