package http

import "github.com/picket-nsm/picket/traffic/format/mime"

// isURIChar tells the characters of URIs (RFC 3986), % and, as in Zeek, NUL.
func isURIChar(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == 0:
		return true
	}
	switch c {
	case ':', '/', '?', '#', '[', ']', '@', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', '-', '_', '.', '~', '%':
		return true
	}
	return false
}

// unescape appends a URI with its escapes resolved, and reports those that are
// wrong.
func (h *http) unescape(dst, uri []byte) []byte {
	dst, problems := Unescape(dst, uri)
	for i, name := range escapeWeirds {
		for range min(problems[i], maxProblems) {
			h.weird(name, "")
		}
	}
	return dst
}

// maxProblems is how often one URI may say the same.
const maxProblems = 100

// escapeWeirds are the mistakes that Unescape counts.
var escapeWeirds = [...]string{
	"illegal_%_at_end_of_URI", "partial_escape_at_end_of_URI", "double_%_in_URI", "unescaped_%_in_URI",
}

// Problems counts mistakes in escapes, in the order of their weirds.
type Problems [len(escapeWeirds)]int

// Unescape appends uri with its escapes resolved: %XX, and %uXXXX as some
// browsers write it. Escapes that are wrong stay as they are; of %% the first
// one is dropped.
func Unescape(dst, uri []byte) (out []byte, p Problems) {
	for i := 0; i < len(uri); i++ {
		if uri[i] != '%' {
			dst = append(dst, uri[i])
			continue
		}
		rest := uri[i+1:]
		switch {
		case len(rest) == 0:
			p[0]++
			return append(dst, '%'), p
		case len(rest) == 1:
			p[1]++
			return append(dst, '%', rest[0]), p
		case rest[0] == '%':
			p[2]++
		case mime.Hex(rest[0]) >= 0 && mime.Hex(rest[1]) >= 0:
			dst = append(dst, hexByte(rest))
			i += 2
		case len(rest) >= 5 && rest[0] == 'u' && allHex(rest[1:5]):
			if hi := hexByte(rest[1:]); hi != 0 {
				dst = append(dst, hi)
			}
			dst = append(dst, hexByte(rest[3:]))
			i += 5
		default:
			p[3]++
			dst = append(dst, '%', rest[0])
			i++
		}
	}
	return dst, p
}

func hexByte(b []byte) byte { return byte(mime.Hex(b[0])<<4 | mime.Hex(b[1])) }

func allHex(b []byte) bool {
	for _, c := range b {
		if mime.Hex(c) < 0 {
			return false
		}
	}
	return true
}
