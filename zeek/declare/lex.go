package declare

import "strings"

// token is a word, a number or a mark of a script; marks are one byte but for ::
// inside words and &name.
type token struct {
	text string
	line int
}

// lexer cuts a script into tokens. Comments, @-lines and the inside of strings
// and patterns are gone; a string is the token "" in quotes, a pattern //.
type lexer struct {
	src  string
	at   int
	line int
	last string
}

func (l *lexer) next() token {
	l.blanks()
	if l.at >= len(l.src) {
		return token{"", l.line}
	}
	t := token{l.one(), l.line}
	l.last = t.text
	return t
}

func (l *lexer) blanks() {
	for l.at < len(l.src) {
		switch c := l.src[l.at]; {
		case c == '\n':
			l.line++
			l.at++
		case c == ' ' || c == '\t' || c == '\r':
			l.at++
		case c == '#' || c == '@':
			if i := strings.IndexByte(l.src[l.at:], '\n'); i >= 0 {
				l.at += i
			} else {
				l.at = len(l.src)
			}
		case c == '%' && l.at+1 < len(l.src) && (l.src[l.at+1] == '(' || l.src[l.at+1] == ')'):
			l.at++ // the brackets of .bif files
		default:
			return
		}
	}
}

func (l *lexer) one() string {
	from := l.at
	c := l.src[l.at]
	switch {
	case c == '"':
		l.quoted('"')
		return `""`
	case c == '/' && !operand(l.last):
		l.quoted('/')
		return "//"
	case wordByte(c):
		l.word()
		return l.src[from:l.at]
	case c == '&' && l.at+1 < len(l.src) && wordByte(l.src[l.at+1]):
		l.at++
		l.word()
		return l.src[from:l.at]
	}
	l.at++
	return l.src[from:l.at]
}

// operand reports whether a slash after this token divides.
func operand(last string) bool {
	return last != "" && (wordByte(last[0]) || last == ")" || last == "]" || last == `""`)
}

func (l *lexer) word() {
	for l.at < len(l.src) {
		switch {
		case wordByte(l.src[l.at]):
			l.at++
		case strings.HasPrefix(l.src[l.at:], "::"):
			l.at += 2
		default:
			return
		}
	}
}

func (l *lexer) quoted(end byte) {
	for l.at++; l.at < len(l.src); l.at++ {
		switch l.src[l.at] {
		case '\\':
			l.at++
		case '\n':
			l.line++
			if end == '/' { // a slash that divides after all
				return
			}
		case end:
			l.at++
			return
		}
	}
	l.at = min(l.at, len(l.src))
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}
