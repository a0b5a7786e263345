// Package mime reads what mail and HTTP have in common: header fields, content
// types with their parameters, boundaries of multipart bodies, and the transfer
// encodings base64 and quoted-printable.
//
// It stands below the analyzers of HTTP and SMTP and owns nothing: functions
// over borrowed bytes, and decoders that keep less than a group of characters.
// It is as tolerant as Zeek's MIME analyzer, since what it reads decides what
// logs show: comments in parentheses are skipped, unknown characters passed
// over. Sources: RFC 822, 2045, 2046, 2822.
package mime

// Header splits a header field, whose folded lines are joined as they came. ok
// is false if there is no name or no colon behind it. The blanks in front of the
// value are cut.
func Header(line []byte) (name, value []byte, ok bool) {
	i := skipComments(line)
	for i < len(line) && !isName(line[i]) {
		i += max(skipComments(line[i:]), 1)
	}
	if i >= len(line) {
		return nil, nil, false
	}
	end := i
	for end < len(line) && isName(line[end]) {
		end++
	}
	name, line = line[i:end], line[end:]
	if i = skipComments(line); i >= len(line) || line[i] != ':' {
		return nil, nil, false
	}
	value = line[i+1:]
	for len(value) > 0 && isSpace(value[0]) {
		value = value[1:]
	}
	return name, value, true
}

// Token returns the first token of a value, and what follows it. ok is false if
// there is none.
func Token(value []byte) (token, rest []byte, ok bool) {
	from, to := span(value, isToken, false)
	if from < 0 {
		return nil, nil, false
	}
	return value[from:to], value[to:], true
}

// span finds the first run of bytes that belong; comments and blanks before it
// are skipped, other bytes too. from is -1 if there is none.
func span(b []byte, belongs func(byte) bool, bare bool) (from, to int) {
	i := 0
	if !bare {
		i = skipComments(b)
	}
	for i < len(b) {
		if belongs(b[i]) {
			to = i
			for to < len(b) && belongs(b[to]) {
				to++
			}
			return i, to
		}
		i += max(skipComments(b[i:]), 1)
	}
	return -1, 0
}

// IsBlank reports whether c continues a header field on a new line: space or tab.
func IsBlank(c byte) bool { return c == ' ' || c == '\t' }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isName(c byte) bool { return c >= 33 && c <= 126 && c != ':' }

// isToken: RFC 2045, page 12.
func isToken(c byte) bool {
	if c < 33 || c > 126 {
		return false
	}
	switch c {
	case '(', ')', '<', '>', '@', ',', ';', ':', '\\', '"', '/', '[', ']', '?', '=':
		return false
	}
	return true
}

// isBoundary: boundaries hold more in practice than the RFC allows.
func isBoundary(c byte) bool { return c >= 33 && c <= 126 && c != '"' }

// skipComments returns how many blanks and comments stand at the beginning.
func skipComments(b []byte) int {
	i := 0
	for i < len(b) {
		switch {
		case IsBlank(b[i]):
			i++
		case b[i] == '(':
			i += comment(b[i:])
		default:
			return i
		}
	}
	return len(b)
}

// comment returns the length of the comment that b begins with; comments nest.
// One that does not end goes to the end.
func comment(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		case '\\':
			i++
		}
	}
	return len(b)
}

// Is reports whether s is word, which is in lower case, whatever the case of s.
func Is(s []byte, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i := range s {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
