package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/picket-nsm/picket/internal/testenv"
)

const hostileText = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`

// hostileLog is one whose records are an attack on whoever looks at them.
func hostileLog(rows int) string {
	var b strings.Builder
	b.WriteString("#separator \\x09\n#unset_field\t-\n#path\thttp\n#fields\tts\tuid\thost\turi\tuser_agent\n#types\ttime\tstring\tstring\tstring\tstring\n")
	for i := range rows {
		fmt.Fprintf(&b, "%d.5\tC%d\t%s\t/%s\t\xff\xfe\u202e</td>&amp;\n", 1_795_322_100+i, i, hostileText, strings.Repeat("é", 3000))
	}
	return b.String()
}

func TestSearch(t *testing.T) {
	m := newMade(t, 2)
	m.log(t, "logger-1", "conn", connLog)
	m.log(t, "logger-2", "dns", `{"ts":1795322101.5,"uid":"Cd","id.orig_h":"10.1.0.7","query":"a.example","rcode":0,"rejected":false,"answers":["192.0.2.1"],"none":null}`+"\n"+
		"no json\n{\"ts\":1795322102.5,\"query\":\"torn")
	for _, f := range m.files {
		if err := os.Chmod(f[0].Name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, base := serve(t, m.deps(t, true), m, true, time.Second)
	for q, want := range map[string][]string{
		"":                          {"Ca3", "Cd", "Ca2", "Ca1"},
		"10.1.0.7":                  {"Cd", "Ca1"},
		"service=dns":               {"Ca3", "Ca1"},
		"service=dns proto=udp":     {"Ca3", "Ca1"},
		"service=d":                 nil,
		"service:S":                 {"Ca3", "Ca2", "Ca1"},
		"!service=dns":              {"Cd", "Ca2"},
		"query:EXAMPLE":             {"Cd"},
		"rejected=false":            {"Cd"},
		"answers:192.0.2.1":         {"Cd"},
		"2001:db8::7":               {"Ca3"},
		"id.orig_h=2001:db8::7":     {"Ca3"},
		"duration=-":                nil, // unset is no value
		"nosuch=":                   nil,
		"id.resp_p=53 !id.orig_p=5": {"Ca3", "Ca1"},
		"no json":                   nil,
	} {
		code, text, _ := testenv.Ask(t, "GET", base+PathSearch+"?q="+url.QueryEscape(q), "", "Authorization", "Bearer secret-read")
		var f Found
		if err := json.Unmarshal([]byte(text), &f); code != 200 || err != nil {
			t.Fatalf("%q: %d %s", q, code, text)
		}
		var got []string
		for _, r := range f.Rows {
			for _, x := range r.Fields {
				if x[0] == "uid" {
					got = append(got, x[1])
				}
			}
		}
		if !reflect.DeepEqual(got, want) || f.Matched != len(want) || f.Looked != 4 || len(f.Files) != 2 || f.Truncated {
			t.Errorf("%q: %v, want %v: %s", q, got, want, text)
		}
	}
	// One log alone, and fewer rows than match.
	_, text, _ := testenv.Ask(t, "GET", base+PathSearch+"?path=conn&limit=1", "", "Authorization", "Bearer secret-read")
	var f Found
	if json.Unmarshal([]byte(text), &f) != nil || len(f.Rows) != 1 || f.Matched != 3 || f.Rows[0].Path != "conn" || f.Rows[0].Logger != "logger-1" {
		t.Error(text)
	}
	// Without a token, what not everybody may read is left out, and named.
	_, text, _ = testenv.Ask(t, "GET", base+PathSearch, "")
	f = Found{}
	if json.Unmarshal([]byte(text), &f) != nil || len(f.Rows) != 0 || !strings.Contains(f.Files[0].Error, "token") {
		t.Error(text)
	}
	if code, _, _ := testenv.Ask(t, "GET", base+PathSearch+"?q="+strings.Repeat("a+", 20), ""); code != 400 {
		t.Error("many words: ", code)
	}
}

// Of a long file only the end is read, from the first whole line on, and what is
// not known to be whole is left alone.
func TestSearchReadsTheEnd(t *testing.T) {
	m := newMade(t, 1)
	text := hostileLog(600)
	name := m.log(t, "logger-1", "http", text)
	rows, read, err := readEnd(name, "http", int64(len(text))-10, 100<<10)
	if err != nil || read != 100<<10 || len(rows) < 10 || len(rows) > 20 {
		t.Fatalf("%d rows of %d bytes, %v", len(rows), read, err)
	}
	last := rows[len(rows)-1]
	if last.Fields[1][1] != "C598" || last.Time != 1_795_322_698.5 {
		t.Errorf("%v", last.Fields[1])
	}
	for _, r := range rows {
		if len(r.Fields) != 5 {
			t.Fatalf("%d fields", len(r.Fields))
		}
		for _, f := range r.Fields {
			if !utf8.ValidString(f[1]) || len(f[1]) > maxField+100 {
				t.Errorf("%d bytes, %q", len(f[1]), f[1][:20])
			}
		}
	}
	if rows, _, err := readEnd(name+".gone", "http", 100, 100); rows != nil || err != nil {
		t.Errorf("a file just rotated: %v %v", rows, err)
	}
}

// Cut anywhere, a log gives the records that are whole, and no others.
func TestTruncatedRows(t *testing.T) {
	for _, text := range []string{connLog, `{"ts":1.5,"a":"b"}` + "\n" + `{"ts":2.5,"a":"é"}` + "\n"} {
		all := parseRows([]byte(text), []byte(text), "x")
		for n := range len(text) {
			rows := parseRows([]byte(text[:n]), []byte(text[:n]), "x")
			if len(rows) > len(all) || len(rows) > 0 && !reflect.DeepEqual(rows, all[:len(rows)]) {
				t.Fatalf("cut at %d: %v", n, rows)
			}
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add(connLog, connLog, "10.0.0.1 service=dns")
	f.Add("", `{"ts":1.5,"a":{"b":[1,"c"]},"d":null}`+"\n", "a:b !d")
	f.Add(hostileLog(1), hostileLog(2), "=: : !")
	f.Add("#separator \\x2c\n#fields,a,b\n", "1,2\n", "")
	f.Fuzz(func(t *testing.T, head, text, words string) {
		q, err := parseQuery(words)
		if err != nil {
			return
		}
		rows := parseRows([]byte(head), []byte(text), "x")
		if len(rows) > strings.Count(text, "\n") {
			t.Fatalf("%d rows", len(rows))
		}
		for i := range rows {
			q.match(&rows[i])
			for _, x := range rows[i].Fields {
				if !utf8.ValidString(x[1]) {
					t.Fatalf("%q", x[1])
				}
			}
		}
	})
}
