package mime

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"testing"
)

func TestHeader(t *testing.T) {
	for _, c := range []struct{ line, name, value string }{
		{"Host: example.net", "Host", "example.net"},
		{"Host:example.net ", "Host", "example.net "},
		{"Host : x", "Host", "x"},
		{"(a comment) Host (b(c)) : x", "Host", "x"},
		{"Empty:", "Empty", ""},
		{"Folded: a \t b", "Folded", "a \t b"},
		{"a b: c", "", ""},
		{"no colon", "", ""},
		{"", "", ""},
		{": x", "", ""},
		{"\x80\x81Name: x", "Name", "x"},
		{"X:\t\r\n\v\f y", "X", "y"},
	} {
		name, value, ok := Header([]byte(c.line))
		if string(name) != c.name || string(value) != c.value || ok != (c.name != "") {
			t.Errorf("%q: %q %q %v", c.line, name, value, ok)
		}
	}
}

func TestToken(t *testing.T) {
	for _, c := range []struct{ value, token, rest string }{
		{"chunked", "chunked", ""},
		{" (c) gzip , deflate", "gzip", " , deflate"},
		{"bytes 0-1/2", "bytes", " 0-1/2"},
		{"=;/a", "a", ""},
		{"", "", ""}, {"()", "", ""}, {"(unclosed", "", ""},
	} {
		token, rest, ok := Token([]byte(c.value))
		if string(token) != c.token || string(rest) != c.rest || ok != (c.token != "") {
			t.Errorf("%q: %q %q %v", c.value, token, rest, ok)
		}
	}
}

func TestContentType(t *testing.T) {
	for _, c := range []struct {
		value    string
		kind     Kind
		boundary string
		ok       bool
	}{
		{"text/html; charset=utf-8", Text, "", true},
		{"image/png", Other, "", true},
		{"message/rfc822", Message, "", true},
		{`multipart/form-data; boundary=abc`, Multipart, "abc", true},
		{`multipart/form-data; boundary="a \"b\\"`, Multipart, `a "b\`, true},
		{`Multipart/Mixed; a=b; BOUNDARY=x:y/z ; c=d`, Multipart, "x:y/z", true},
		{`multipart/mixed; charset; boundary=x`, Multipart, "x", true},
		{`multipart/mixed`, Other, "", true},
		{`multipart/mixed; boundary=`, Other, "", true},
		{`multipart/mixed; boundary="open`, Other, "", true},
		{"text", 0, "", false}, {"text/", 0, "", false}, {"/x", 0, "", false}, {"", 0, "", false},
		{"(c) text (d) / (e) plain", Text, "", true},
	} {
		got, ok := ParseContentType([]byte(c.value), nil)
		if ok != c.ok || ok && (got.Kind != c.kind || string(got.Boundary) != c.boundary) {
			t.Errorf("%q: %+v %v", c.value, got, ok)
		}
	}
}

func TestDelimits(t *testing.T) {
	for line, want := range map[string]Delimiter{
		"--abc": PartBegins, "--abc--": LastEnds, "--abc- -": PartBegins, "--abcd": PartBegins,
		"--ab": NotDelimiter, "-abc": NotDelimiter, "": NotDelimiter, "--": NotDelimiter,
	} {
		if got := Delimits([]byte(line), []byte("abc")); got != want {
			t.Errorf("%q: %d, want %d", line, got, want)
		}
	}
}

func TestBase64(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for n := range 200 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		text := base64.StdEncoding.EncodeToString(data)
		var d Base64Decoder
		var got []byte
		for len(text) > 0 {
			k := min(1+rnd.IntN(7), len(text))
			var problem string
			if got, problem = d.Decode(got, []byte(text[:k])); problem != "" {
				t.Fatal(problem)
			}
			text = text[k:]
		}
		if got, problem := d.End(got); !bytes.Equal(got, data) || problem != "" {
			t.Fatalf("%q, %s", got, problem)
		}
	}
	for _, c := range []struct{ text, want, problem, end string }{
		{"YW*Jj", "abc", "character 42 ignored by Base64 decoding", ""},
		{"YQ==YQ==", "a", "extra base64 groups after '=' padding are ignored", ""},
		{"YWI", "ab", "", "incomplete base64 group, padding with 6 bits of 0"},
		{"====", "", "", ""},
	} {
		var d Base64Decoder
		got, problem := d.Decode(nil, []byte(c.text))
		got, end := d.End(got)
		if string(got) != c.want || problem != c.problem || end != c.end {
			t.Errorf("%q: %q %q %q", c.text, got, problem, end)
		}
	}
}

func TestQuotedPrintable(t *testing.T) {
	for line, want := range map[string]string{
		"a=3Db": "a=b\r\n", "soft=": "soft", "blanks  \t": "blanks\r\n", "a= ": "a", "bad=zz": "bad=zz\r\n", "": "\r\n", "=4": "=4\r\n",
	} {
		if got := DecodeQuotedPrintable(nil, []byte(line)); string(got) != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	// What the standard library writes comes back.
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	text := "a line\r\nwith = and \xff\r\n" + string(bytes.Repeat([]byte("long "), 40)) + "\r\n"
	io.WriteString(w, text)
	w.Close()
	var got []byte
	for _, l := range bytes.SplitAfter(b.Bytes(), []byte("\r\n")) {
		if l, ok := bytes.CutSuffix(l, []byte("\r\n")); ok {
			got = DecodeQuotedPrintable(got, l)
		}
	}
	if string(got) != text {
		t.Errorf("%q", got)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte(`Content-Type: multipart/mixed; (c) boundary="x\"y"; a=b`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, value, _ := Header(b)
		Token(value)
		ParseContentType(value, nil)
		ParseEncoding(value)
		var d Base64Decoder
		out, _ := d.Decode(nil, value)
		d.End(out)
		DecodeQuotedPrintable(nil, b)
	})
}
