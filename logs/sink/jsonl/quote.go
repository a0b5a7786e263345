package jsonl

import (
	"bytes"

	"github.com/picket-nsm/picket/zeek/text"
)

const upperHex = "0123456789ABCDEF"

// appendQuoted appends s as a JSON string. Only quotes, backslashes and
// controls below 32 are escaped; everything else passes.
func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= 32:
			dst = append(dst, c)
		default:
			if e := text.ShortEscape(c); e != 0 {
				dst = append(dst, '\\', e)
			} else {
				dst = append(dst, '\\', 'u', '0', '0', upperHex[c>>4], upperHex[c&15])
			}
		}
	}
	return append(dst, '"')
}

// appendPUA appends s as a JSON string in which each bad byte HH is the
// private character U+F00HH, written as a surrogate pair. Good characters of
// the same string pass: unlike the other policies this one can be undone.
func appendPUA(dst, s []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch e := text.ShortEscape(c); {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case e != 0:
			dst = append(dst, '\\', e)
		case text.Printable(c):
			dst = append(dst, c)
		default:
			if n := text.GoodRune(s[i:]); n > 0 {
				dst = append(dst, s[i:i+n]...)
				i += n - 1
				continue
			}
			const lower = "0123456789abcdef"
			dst = append(dst, `\udb80\udc`...)
			dst = append(dst, lower[c>>4], lower[c&15])
		}
	}
	return append(dst, '"')
}

// appendTSV escapes s as the TSV format does in a column, but for the separator.
func appendTSV(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return text.AppendUTF8(dst, s, false)
		}
		dst = append(text.AppendUTF8(dst, s[:i], false), `\\`...)
		s = s[i+1:]
	}
}
