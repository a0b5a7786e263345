package http

import (
	"bytes"

	"github.com/picket-nsm/picket/traffic/format/mime"
	"github.com/picket-nsm/picket/traffic/format/uri"
)

// noReason returns what stands for a reason phrase that is not there.
func (s *Shared) noReason() []byte {
	s.scratch = append(s.scratch[:0], "<empty>"...)
	return s.scratch
}

// isTokenChar tells the characters of methods.
func isTokenChar(c byte) bool {
	if c <= 32 || c >= 127 {
		return false
	}
	switch c {
	case '(', ')', '<', '>', '@', ',', ';', ':', '\\', '"', '/', '[', ']', '?', '=', '{', '}':
		return false
	}
	return true
}

func skipBlanks(b []byte, at int) int {
	for at < len(b) && mime.IsBlank(b[at]) {
		at++
	}
	return at
}

// requestLine reads the first line of a request. ok is false if it is none.
func (h *http) requestLine(d *direction, l []byte) (method, uri []byte, ok bool) {
	end := 0
	for end < len(l) && isTokenChar(l[end]) {
		end++
	}
	rest := skipBlanks(l, end)
	switch {
	case end == 0 && len(l) >= 9 && foldPrefix(l[len(l)-9:], " http/"):
		h.weird("bad_HTTP_request_with_version", "")
		return nil, nil, false
	case end == 0 || rest == end:
		h.weird("bad_HTTP_request", "")
		return nil, nil, false
	}
	method = l[:end]
	raw := h.requestTail(d, l[rest:])
	uri = h.unescape(h.s.uri[:0], raw)
	if h.s.uri = uri; cap(uri) > keepURI {
		h.s.uri = nil
	}
	if d.version == (Version{0, 9}) && (len(method) < 3 || len(raw) == 0) {
		h.weird("bad_HTTP_request", "")
		return nil, nil, false
	}
	return method, uri, true
}

// keepURI is the largest buffer for unescaped URIs that is kept.
const keepURI = 1 << 16

// keyword looks for HTTP/ at the beginning of b, whatever its case.
func (h *http) keyword(b []byte) bool {
	if bytes.HasPrefix(b, []byte("HTTP/")) {
		return true
	}
	if foldPrefix(b, "http/") {
		h.weird("lowercase_HTTP_keyword", "")
		return true
	}
	return false
}

// foldPrefix reports whether b begins with word, which is in lower case.
func foldPrefix(b []byte, word string) bool {
	return len(b) >= len(word) && mime.Is(b[:len(word)], word)
}

func wordIs(b []byte, word string) bool { return mime.Is(b, word) }

// requestTail reads what follows the method: URI and version. The URI goes on
// until the version, whatever is between.
func (h *http) requestTail(d *direction, l []byte) []byte {
	end := 0
	for end < len(l) && uri.IsChar(l[end]) {
		end++
	}
	if h.keyword(l) && end >= len(l) {
		h.weird("missing_HTTP_uri", "")
		end = 0
	}
	at := end
	for ; at < len(l); at++ {
		end = at
		at = skipBlanks(l, at)
		if h.keyword(l[at:]) {
			break
		}
	}
	if at >= len(l) {
		h.setVersion(d, Version{0, 9})
	} else if at+8 <= len(l) {
		h.setVersion(d, version(l[at+5:]))
	}
	return l[:end]
}

// version reads digit, dot, digit.
func version(b []byte) Version {
	if len(b) >= 3 && b[0] >= '0' && b[0] <= '9' && b[1] == '.' && b[2] >= '0' && b[2] <= '9' {
		return Version{b[0] - '0', b[2] - '0'}
	}
	return Version{}
}

func (h *http) setVersion(d *direction, v Version) {
	if d.version != (Version{}) && d.version != v {
		h.weird("HTTP_version_mismatch", "")
	}
	d.version = v
	if v.Major > 1 || v.Major == 1 && v.Minor > 0 {
		h.keepAlive = true
	}
}

// replyLine reads the first line of a reply. ok is false if it is none.
func (h *http) replyLine(d *direction, l []byte) (reason []byte, ok bool) {
	if !h.keyword(l) {
		return nil, false
	}
	h.setVersion(d, version(l[5:]))
	at := 5
	for at < len(l) && !mime.IsBlank(l[at]) {
		at++
	}
	at = skipBlanks(l, at)
	if at+3 > len(l) {
		return nil, false
	}
	h.code = code(l[at : at+3])
	for at += 3; at < len(l) && !mime.IsBlank(l[at]); {
		at++
	}
	if at >= len(l) {
		return h.s.noReason(), true
	}
	return l[skipBlanks(l, at):], true
}

func code(b []byte) int {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// requests are the requests without reply: only whether each was a HEAD matters.
// They are kept as runs of equal ones.
type requests struct {
	runs []run
	n    int
}

type run struct {
	head bool
	n    int
}

// maxRuns bounds how many runs are remembered.
const maxRuns = 1024

func (q *requests) push(head bool, s *Stats) {
	if k := len(q.runs); k > 0 && q.runs[k-1].head == head {
		q.runs[k-1].n++
	} else if k == maxRuns {
		s.ShedRequests++
		return
	} else {
		q.runs = append(q.runs, run{head, 1})
	}
	q.n++
}

func (q *requests) pop() {
	if q.n == 0 {
		return
	}
	q.n--
	if q.runs[0].n--; q.runs[0].n == 0 {
		q.runs = q.runs[:copy(q.runs, q.runs[1:])]
	}
}

func (q *requests) any() bool { return q.n > 0 }

// head reports whether the oldest is a HEAD.
func (q *requests) head() bool { return q.n > 0 && q.runs[0].head }

// empty returns an empty queue in the same room.
func (q *requests) empty() requests {
	if cap(q.runs) > 16 {
		return requests{}
	}
	return requests{runs: q.runs[:0]}
}
