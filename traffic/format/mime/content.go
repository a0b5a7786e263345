package mime

import "bytes"

// Kind is what the first word of a content type means for how a body is read.
type Kind uint8

// Kinds of content.
const (
	Text      Kind = iota // also where there is no content type
	Multipart             // parts between boundaries
	Message               // a message with headers of its own
	Other
)

// ContentType is a content type header field.
type ContentType struct {
	Kind     Kind
	Type     []byte // as it came; borrowed
	Subtype  []byte
	Boundary []byte // of a multipart body
}

// ParseContentType reads the value of a content type field. ok is false if it is
// not two words with a slash between; then nothing is known. A multipart type
// without a boundary is Other. Boundaries in quotes are unquoted into buf.
func ParseContentType(value, buf []byte) (t ContentType, ok bool) {
	from, to := span(value, isToken, false)
	if from < 0 {
		return t, false
	}
	t.Type, value = value[from:to], value[to:]
	i := skipComments(value)
	if i >= len(value) || value[i] != '/' {
		return t, false
	}
	value = value[i+1:]
	if from, to = span(value, isToken, false); from < 0 {
		return t, false
	}
	t.Subtype, value = value[from:to], value[to:]
	switch {
	case Is(t.Type, "multipart"):
		t.Kind = Multipart
	case Is(t.Type, "message"):
		t.Kind = Message
	case Is(t.Type, "text"):
		t.Kind = Text
	default:
		t.Kind = Other
	}
	if t.Kind == Multipart {
		var found bool
		if t.Boundary, found = boundary(value, buf); !found {
			t.Kind = Other
		}
	}
	return t, true
}

// boundary looks for the boundary among parameters; the last one counts.
func boundary(b, buf []byte) (value []byte, found bool) {
	for {
		i := skipComments(b)
		if i >= len(b) || b[i] != ';' {
			return value, found
		}
		b = b[i+1:]
		from, to := span(b, isToken, false)
		if from < 0 {
			return value, found
		}
		name := b[from:to]
		b = b[to:]
		if i = skipComments(b); i >= len(b) || b[i] != '=' {
			continue
		}
		b = b[i+1:]
		is := Is(name, "boundary")
		v, n := parameter(b, buf, is)
		if n < 0 {
			continue
		}
		if is {
			value, found = v, true
		}
		b = b[n:]
	}
}

// parameter reads a token or a quoted string and returns how long it is; -1 if
// there is none.
func parameter(b, buf []byte, isBound bool) ([]byte, int) {
	i := 0
	if !isBound {
		i = skipComments(b)
	}
	if v := b[i:]; len(v) > 0 && v[0] == '"' {
		for end := 1; end < len(v); end++ {
			switch v[end] {
			case '"':
				return unquote(buf[:0], v[1:end]), i + end + 1
			case '\\':
				end++
			}
		}
		return nil, -1
	}
	belongs := isToken
	if isBound {
		belongs = isBoundary
	}
	from, to := span(b[i:], belongs, isBound)
	if from < 0 {
		return nil, -1
	}
	return b[i+from : i+to], i + to
}

// unquote appends b without the backslashes that quote.
func unquote(buf, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' {
			if i++; i == len(b) {
				break
			}
		}
		buf = append(buf, b[i])
	}
	return buf
}

// Delimiter is what a line of a multipart body is.
type Delimiter uint8

// Delimiters.
const (
	NotDelimiter Delimiter = iota
	PartBegins
	LastEnds
)

// Delimits looks for a boundary at the beginning of a line.
func Delimits(line, boundary []byte) Delimiter {
	if len(line) < 2 || line[0] != '-' || line[1] != '-' || !bytes.HasPrefix(line[2:], boundary) {
		return NotDelimiter
	}
	if bytes.HasPrefix(line[2+len(boundary):], []byte("--")) {
		return LastEnds
	}
	return PartBegins
}

// Encoding is a content transfer encoding.
type Encoding uint8

// Encodings; all but two leave the bytes as they are.
const (
	Identity Encoding = iota
	Base64
	QuotedPrintable
)

// ParseEncoding reads the value of a content transfer encoding field. ok is
// false if there is no word in it.
func ParseEncoding(value []byte) (e Encoding, ok bool) {
	word, _, ok := Token(value)
	switch {
	case Is(word, "base64"):
		e = Base64
	case Is(word, "quoted-printable"):
		e = QuotedPrintable
	}
	return e, ok
}
