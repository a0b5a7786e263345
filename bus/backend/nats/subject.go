package nats

import (
	"errors"
	"fmt"
	"strings"

	"github.com/picket-nsm/picket/bus/backend"
)

// How topics become subjects: docs/adr/0001-topics-on-nats.md.
//
//	topic   zeek.cluster.node.worker-1.
//	chunks  zeek|.|clus|ter.|node|.|work|er-1|.|
//	subject CLUSTER.e.zeek.:.clus.ter:.node.:.work.er-1.:._
//
// A topic is cut after each separator ('.' or '/'), and between separators
// after 4, 8, 16, 32 ... bytes. Where a cut falls depends on the bytes before it
// only, so the chunks of a prefix are the first chunks of every topic that
// begins with it, except the last one when it is not full. A prefix is one
// subscription to its full chunks and anything after; what the cut-off rest
// lets in too much, the receiver drops.

// nextChunk returns the length of the first chunk of s. done is how many bytes
// since the last separator were cut already. full means more bytes would not
// make the chunk longer.
func nextChunk(s string, done int) (n int, full, sep bool) {
	size := max(4, done) // 4, then up to 8, 16, 32 ...
	for n < len(s) && n < size {
		c := s[n]
		n++
		if c == '.' || c == '/' {
			return n, true, true
		}
	}
	return n, n == size, false
}

// appendChunks appends the chunks of s as tokens with a dot after each, the
// last one only if it is full or partial ones are wanted.
func appendChunks(dst []byte, s string, partial bool) []byte {
	for done := 0; s != ""; {
		n, full, sep := nextChunk(s, done)
		if !full && !partial {
			break
		}
		dst = append(appendEscaped(dst, s[:n]), '.')
		if done += n; sep {
			done = 0
		}
		s = s[n:]
	}
	return dst
}

const hexDigits = "0123456789ABCDEF"

// plain says which bytes stand for themselves in a subject token. A dot is a colon.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '/'
}

// appendEscaped appends s as (part of) one subject token.
func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case plain(c):
			dst = append(dst, c)
		case c == '.':
			dst = append(dst, ':')
		default:
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

// token returns a name as one subject token; an empty name as %.
func token(s string) string {
	if s == "" {
		return "%"
	}
	return string(appendEscaped(nil, s))
}

var errSubject = errors.New("not a subject of ours")

// unescape undoes appendEscaped over one or more tokens; dots between tokens
// are dropped.
func unescape(s string) (string, error) {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case plain(c):
			b.WriteByte(c)
		case c == ':':
			b.WriteByte('.')
		case c == '.':
		case c == '%' && len(s) == 1:
		case c == '%' && i+2 < len(s):
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if hi < 0 || lo < 0 {
				return "", errSubject
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		default:
			return "", errSubject
		}
	}
	return b.String(), nil
}

// maxSubject keeps subjects, with the rest of their protocol line, below the
// 4096 bytes that servers allow.
const maxSubject = 3500

// subjects knows the subjects of one cluster.
type subjects struct {
	events string // CLUSTER.e.
	logs   string // CLUSTER.log.
	acks   string // CLUSTER.ack.
}

func newSubjects(cluster string) subjects {
	c := token(cluster)
	return subjects{events: c + ".e.", logs: c + ".log.", acks: c + ".ack."}
}

// event appends the subject that a topic is published to.
func (s subjects) event(dst []byte, topic string) []byte {
	dst = append(dst, s.events...)
	return append(appendChunks(dst, topic, true), '_')
}

// stem returns the subject of a prefix without its final wildcard. It ends in a dot.
func (s subjects) stem(prefix string) string {
	b := appendChunks([]byte(s.events), prefix, false)
	for len(b) > maxSubject { // nothing as long is published: less precise is right as well
		b = b[:strings.LastIndexByte(string(b[:len(b)-1]), '.')+1]
	}
	return string(b)
}

// topic undoes event.
func (s subjects) topic(subject string) (string, error) {
	rest, ok := strings.CutPrefix(subject, s.events)
	if !ok || !strings.HasSuffix(rest, "_") {
		return "", errSubject
	}
	return unescape(rest[:len(rest)-1])
}

// names remembers the subjects of topics.
type names struct {
	subj    subjects
	byTopic map[string]name
}

type name struct{ topic, subject string }

// of returns the subject of a topic; the error is backend.ErrTooLarge.
func (n *names) of(topic string) (name, error) {
	to, ok := n.byTopic[topic]
	if ok {
		return to, nil
	}
	b := n.subj.event(nil, topic)
	if len(b) > maxSubject {
		return to, fmt.Errorf("topic: %w", backend.ErrTooLarge)
	}
	if len(n.byTopic) == cacheSize {
		clear(n.byTopic)
	}
	to = name{strings.Clone(topic), string(b)}
	n.byTopic[to.topic] = to
	return to, nil
}
