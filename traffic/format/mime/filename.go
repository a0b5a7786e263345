package mime

import (
	"bytes"

	"github.com/picket-nsm/picket/traffic/format/uri"
)

// NamesFile reports whether a header field names the file that the part holds:
// Content-Disposition, or Content-Type as older programs do.
func NamesFile(name, value []byte) bool {
	return Is(name, "content-disposition") && findName(value, "filename", true) >= 0 ||
		Is(name, "content-type") && findName(value, "name", false) >= 0
}

// findName returns what follows the last "word =", where a star may stand in
// front of the equals sign; -1 if there is none.
func findName(v []byte, word string, star bool) int {
	for at := len(v) - len(word); at >= 0; at-- {
		if !Is(v[at:at+len(word)], word) {
			continue
		}
		end := at + len(word)
		for end < len(v) && IsBlank(v[end]) {
			end++
		}
		if star && end < len(v) && v[end] == '*' {
			end++
		}
		if end < len(v) && v[end] == '=' {
			return end + 1
		}
	}
	return -1
}

// AppendFileName appends the file name in a header's value: what follows the
// last "name=", without quotes, character set and language (RFC 5987).
func AppendFileName(dst, v []byte) []byte {
	if at := findName(v, "name", true); at >= 0 {
		v = v[at:]
		for len(v) > 0 && IsBlank(v[0]) {
			v = v[1:]
		}
	}
	if len(v) > 0 && v[0] == '"' {
		v = v[1:]
		if end := bytes.IndexByte(v, '"'); end >= 0 {
			v = v[:end]
		}
	}
	if language(v) {
		v = v[bytes.LastIndexByte(v, '\'')+1:]
	}
	dst, _ = uri.Unescape(dst, v[:min(len(v), maxFileName)])
	return dst
}

// language reports whether v begins with CHARSET'LANGUAGE'.
func language(v []byte) bool {
	n := words(v)
	if n == 0 || n == len(v) || v[n] != '\'' {
		return false
	}
	v = v[n+1:]
	n = words(v)
	return n < len(v) && v[n] == '\''
}

// maxFileName is how many bytes of a name are looked at.
const maxFileName = 256_001

// words returns how many characters of names v begins with.
func words(v []byte) int {
	n := 0
	for n < len(v) {
		c := v[n]
		switch {
		case c >= 'a' && c <= 'z', c >= '#' && c <= '&', c >= '+' && c <= '^', c == '!', c == '_', c == '`', c == '{', c == '}', c == '~':
			n++
			continue
		}
		break
	}
	return n
}
