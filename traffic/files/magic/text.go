package magic

import "bytes"

// text looks at what is known of texts.
func text(b []byte, m *match) {
	body, marked := cutBOM(b)
	if plain(b) {
		m.take("text/plain", -20)
	}
	json(body, m)
	ini(body, m)
	script(b, m)
	markup(b, body, marked, m)
	if i := bytes.Index(b, []byte("<?php")); i >= 0 {
		m.take("text/x-php", 40)
	}
	diff(b, m)
	plainPictures(b, m)
}

// cutBOM takes a byte order mark away (UTF-8 or UTF-16).
func cutBOM(b []byte) (rest []byte, marked bool) {
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if len(b) >= len(mark) && string(b[:len(mark)]) == mark {
			return b[len(mark):], true
		}
	}
	return b, false
}

// plain reports whether b begins with ten printable ASCII characters or spaces,
// behind a byte order mark (UTF-8, 16 or 32) if there is one.
func plain(b []byte) bool {
	if printable(b) {
		return true
	}
	for _, mark := range []string{"\xef\xbb\xbf", "\x00\x00\xfe\xff", "\xfe\xff", "\xff\xfe\x00\x00", "\xff\xfe"} {
		if len(b) >= len(mark) && string(b[:len(mark)]) == mark && printable(b[len(mark):]) {
			return true
		}
	}
	return false
}

func printable(b []byte) bool {
	if len(b) < 10 {
		return false
	}
	for _, c := range b[:10] {
		if (c < 0x20 || c > 0x7e) && (c < '\t' || c > '\r') {
			return false
		}
	}
	return true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func skipBlank(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	return b
}

// json looks for the first member of an object or array.
func json(b []byte, m *match) {
	b = skipBlank(b)
	if len(b) == 0 {
		return
	}
	switch b[0] {
	case '{':
		if jsonMember(skipBlank(b[1:])) {
			m.take("text/json", 1)
		}
	case '[':
		b = skipBlank(b[1:])
		if len(b) > 0 && (b[0] == '{' || b[0] == '[') {
			m.take("text/json", 1)
			return
		}
		if rest, ok := jsonScalar(b); ok {
			if rest = skipBlank(rest); len(rest) > 0 && rest[0] == ',' {
				m.take("text/json", 1)
			}
		}
	}
}

// jsonMember looks for a name, a colon, and the beginning of a value.
func jsonMember(b []byte) bool {
	switch {
	case len(b) == 0:
		return false
	case b[0] == '"':
		end := bytes.IndexByte(b[1:], '"')
		if end < 1 {
			return false
		}
		b = b[end+2:]
	case isLetter(b[0]):
		n := 1
		for n < len(b) && (isLetter(b[n]) || isDigit(b[n]) || b[n] == '_' || b[n] == '\\') {
			n++
		}
		b = b[n:]
	default:
		return false
	}
	if b = skipBlank(b); len(b) == 0 || b[0] != ':' {
		return false
	}
	b = skipBlank(b[1:])
	return len(b) > 0 && (b[0] == '"' || b[0] == '[' || b[0] == '{' || isDigit(b[0])) ||
		bytes.HasPrefix(b, []byte("true")) || bytes.HasPrefix(b, []byte("false"))
}

// jsonScalar takes a string, a number or a truth value.
func jsonScalar(b []byte) (rest []byte, ok bool) {
	switch {
	case len(b) == 0:
		return nil, false
	case b[0] == '"':
		end := bytes.IndexByte(b[1:], '"')
		if end < 1 {
			return nil, false
		}
		return b[end+2:], true
	case isDigit(b[0]):
		n := digits(b)
		if len(b) > n+1 && b[n] == '.' && isDigit(b[n+1]) {
			n += 1 + digits(b[n+1:])
		}
		return b[n:], true
	}
	for _, word := range []string{"true", "false"} {
		if bytes.HasPrefix(b, []byte(word)) {
			return b[len(word):], true
		}
	}
	return nil, false
}

func digits(b []byte) int {
	n := 0
	for n < len(b) && isDigit(b[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// ini looks for [section] on a line of its own.
func ini(b []byte, m *match) {
	for len(b) > 0 && (isBlank(b[0]) || b[0] == 0) {
		b = b[1:]
	}
	if len(b) == 0 || b[0] != '[' {
		return
	}
	end := bytes.IndexAny(b, "\r\n")
	if end < 0 {
		return
	}
	line := bytes.TrimRight(b[1:end], " \t\x00")
	if len(line) >= 2 && line[len(line)-1] == ']' {
		m.take("text/ini", 20)
	}
}

// script looks for what programs in text begin with.
func script(b []byte, m *match) {
	interpreter(b, m)
	line := skipBlank(b)
	switch {
	case bytes.HasPrefix(line, []byte("for (;;);")), // a guard in front of JSON
		bytes.HasPrefix(line, []byte("document.write(")), bytes.HasPrefix(line, []byte("document.writeln(")),
		scriptTag(line):
		m.take("application/javascript", 60)
	case bytes.HasPrefix(b, []byte("(function()")):
		rest := b[len("(function()"):]
		for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n') {
			rest = rest[1:]
		}
		if len(rest) > 0 && rest[0] == '{' {
			m.take("application/javascript", 60)
		}
	}
	if len(b) > 0 && b[0] == '@' {
		rest := b[1:]
		if foldPrefix(rest, "rem") {
			m.take("text/x-msdos-batch", 60)
		}
		if foldPrefix(rest, "set ") {
			m.take("text/x-msdos-batch", 70)
		}
		rest = bytes.TrimLeft(rest, " ")
		if foldPrefix(rest, "echo") {
			rest = rest[len("echo"):]
			if off := bytes.TrimLeft(rest, " "); len(off) < len(rest) && foldPrefix(off, "off") {
				m.take("text/x-msdos-batch", 110)
			}
		}
	}
}

// scriptTag looks for a script element that says that it is JavaScript.
func scriptTag(b []byte) bool {
	if rest, ok := bytes.CutPrefix(b, []byte("<script>")); ok {
		rest = skipBlank(rest)
		return bytes.HasPrefix(rest, []byte("var ")) || bytes.HasPrefix(rest, []byte("function "))
	}
	if !foldPrefix(b, "<script") {
		return false
	}
	rest := b[len("<script"):]
	b = bytes.TrimLeft(rest, " \t")
	if len(b) == len(rest) {
		return false
	}
	switch {
	case foldPrefix(b, "type="):
		b = b[len("type="):]
	case foldPrefix(b, "language="):
		b = b[len("language="):]
	default:
		return false
	}
	if len(b) > 0 && (b[0] == '"' || b[0] == '\'') {
		b = b[1:]
	}
	if foldPrefix(b, "text/") {
		b = b[len("text/"):]
	}
	return foldPrefix(b, "javascript")
}

// foldPrefix reports whether b begins with word, which is in lower case,
// whatever the case of b.
func foldPrefix(b []byte, word string) bool {
	if len(b) < len(word) {
		return false
	}
	for i := range len(word) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// interpreters are programs that a script's first line may name.
var interpreters = []struct {
	words    []string
	mime     string
	strength int
}{
	{[]string{"sh", "bash", "tcsh", "csh", "zsh", "fash", "aesh", "ksh"}, "text/x-shellscript", 250},
	{[]string{"perl"}, "text/x-perl", 60},
	{[]string{"ruby"}, "text/x-ruby", 60},
	{[]string{"python"}, "text/x-python", 60},
	{[]string{"awk", "gawk", "nawk"}, "text/x-awk", 60},
	{[]string{"wish", "tcl"}, "text/x-tcl", 60},
	{[]string{"lua"}, "text/x-lua", 49},
	{[]string{"node"}, "application/javascript", 60},
	{[]string{"php"}, "text/x-php", 60},
}

// interpreter reads "#!/usr/bin/env python" and the like.
func interpreter(b []byte, m *match) {
	if !bytes.HasPrefix(b, []byte("#!")) {
		return
	}
	line := b[2:]
	for at := 1; at <= 15 && at+4 <= len(line) && line[at-1] != '\n'; at++ {
		if string(line[at:at+4]) != "bin/" {
			continue
		}
		word := line[at+4:]
		if rest, ok := bytes.CutPrefix(word, []byte("env")); ok {
			if cut := bytes.TrimLeft(rest, " \t\r\n\v\f"); len(cut) < len(rest) {
				word = cut
			}
		}
		for _, i := range interpreters {
			for _, w := range i.words {
				if bytes.HasPrefix(word, []byte(w)) {
					m.take(i.mime, i.strength)
				}
			}
		}
	}
}
