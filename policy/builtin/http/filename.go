package http

import (
	"bytes"

	wire "github.com/picket-nsm/picket/traffic/analyzer/http"

	"github.com/picket-nsm/picket/traffic/format/mime"
)

// fileName takes the name of a file from Content-Disposition or Content-Type.
func (i *info) fileName(h *wire.Header) {
	switch {
	case mime.Is(h.Name, "content-disposition") && findName(h.Value, "filename", true) >= 0,
		mime.Is(h.Name, "content-type") && findName(h.Value, "name", false) >= 0:
		i.name.b, i.name.set = appendFileName(i.name.b[:0], h.Value), true
	}
}

// findName returns what follows the last "word =", where a star may stand in
// front of the equals sign; -1 if there is none.
func findName(v []byte, word string, star bool) int {
	for at := len(v) - len(word); at >= 0; at-- {
		if !mime.Is(v[at:at+len(word)], word) {
			continue
		}
		end := at + len(word)
		for end < len(v) && mime.IsBlank(v[end]) {
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

// appendFileName appends the file name in a header's value: what follows the
// last "name=", without quotes, character set and language (RFC 5987).
func appendFileName(dst, v []byte) []byte {
	if at := findName(v, "name", true); at >= 0 {
		v = v[at:]
		for len(v) > 0 && mime.IsBlank(v[0]) {
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
	dst, _ = wire.Unescape(dst, v[:min(len(v), maxText)])
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
