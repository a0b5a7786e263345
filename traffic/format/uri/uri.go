// Package uri resolves the escapes of URIs (RFC 3986), as HTTP requests and the
// file names in header fields have them.
//
// It stands below the analyzers and policy and owns nothing. It is as tolerant
// as Zeek, since its results are shown in logs.
package uri

import "github.com/picket-nsm/picket/zeek/text"

// IsChar tells the characters of URIs, % and, as in Zeek, NUL.
func IsChar(c byte) bool {
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

// Weirds are the names of the mistakes that Unescape counts.
func Weirds() [4]string {
	return [...]string{"illegal_%_at_end_of_URI", "partial_escape_at_end_of_URI", "double_%_in_URI", "unescaped_%_in_URI"}
}

// Problems counts mistakes in escapes, in the order of Weirds.
type Problems [4]int

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
		case text.HexDigit(rest[0]) >= 0 && text.HexDigit(rest[1]) >= 0:
			dst = append(dst, pair(rest))
			i += 2
		case len(rest) >= 5 && rest[0] == 'u' && allHex(rest[1:5]):
			if hi := pair(rest[1:]); hi != 0 {
				dst = append(dst, hi)
			}
			dst = append(dst, pair(rest[3:]))
			i += 5
		default:
			p[3]++
			dst = append(dst, '%', rest[0])
			i++
		}
	}
	return dst, p
}

func pair(b []byte) byte { return byte(text.HexDigit(b[0])<<4 | text.HexDigit(b[1])) }

func allHex(b []byte) bool {
	for _, c := range b {
		if text.HexDigit(c) < 0 {
			return false
		}
	}
	return true
}
