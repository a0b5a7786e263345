package smtp

import (
	"bytes"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/mail"
	"github.com/picket-nsm/picket/traffic/packet"
)

// info is a row in the making.
type info struct {
	log  *Log
	held int // bytes of text

	rows.Conn
	depth uint64

	helo, mailFrom, date, from, replyTo, messageID, inReplyTo rows.Text
	subject, received, received2, lastReply, agent            rows.Text
	rcptTo, to, cc                                            set
	origin                                                    packet.Addr
	hasOrigin                                                 bool
	path                                                      []packet.Addr
	files                                                     []files.ID
	tls                                                       bool

	active   bool // the client has done something
	entities int  // begun so far
	inEntity bool
	name     rows.Text // of the file at hand
}

// set is texts, each once, in the order they came.
type set struct {
	set  bool
	b    []byte
	ends []int
}

func (s *set) len() int { return len(s.ends) }

func (s *set) at(i int) []byte {
	from := 0
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.b[from:s.ends[i]]
}

func (s *set) has(b []byte) bool {
	for i := range s.ends {
		if bytes.Equal(s.at(i), b) {
			return true
		}
	}
	return false
}

// reset makes the row ready for another use; small buffers are kept.
func (i *info) reset() {
	text := func(t rows.Text) rows.Text { return t.Emptied(keepText) }
	list := func(s set) set {
		if cap(s.b) > keepText || cap(s.ends) > keepList {
			return set{}
		}
		return set{b: s.b[:0], ends: s.ends[:0]}
	}
	fresh := info{
		log: i.log, Conn: i.Conn.Emptied(), helo: text(i.helo), mailFrom: text(i.mailFrom), date: text(i.date), from: text(i.from),
		replyTo: text(i.replyTo), messageID: text(i.messageID), inReplyTo: text(i.inReplyTo), subject: text(i.subject),
		received: text(i.received), received2: text(i.received2), lastReply: text(i.lastReply), agent: text(i.agent),
		name: text(i.name), rcptTo: list(i.rcptTo), to: list(i.to), cc: list(i.cc),
	}
	if cap(i.path) <= keepList {
		fresh.path = i.path[:0]
	}
	if cap(i.files) <= keepList {
		fresh.files = i.files[:0]
	}
	*i = fresh
}

// allow counts n bytes of text that are to be kept and returns how many may be.
func (i *info) allow(n int) int {
	n = min(n, maxText)
	if i.held+n > maxHeld && n > shortText {
		n = shortText
		i.log.cut++
	}
	i.held += n
	return n
}

// text sets a field.
func (i *info) text(t *rows.Text, b []byte) {
	i.held -= len(t.B)
	t.Put(b[:i.allow(len(b))])
}

// add adds to a set.
func (i *info) add(s *set, b []byte) {
	if s.has(b) {
		return
	}
	s.b = append(s.b, b[:i.allow(len(b))]...)
	s.ends = append(s.ends, len(s.b))
}

// maxName is the length of the longest name of a header field that matters.
const maxName = len("x-originating-ip")

// header takes a field of the mail's header.
func (i *info) header(c analyzer.Conn, f *mail.Header) {
	if len(f.Name) > maxName {
		return
	}
	var buf [maxName]byte
	name := buf[:len(f.Name)]
	for n, b := range f.Name {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		name[n] = b
	}
	switch string(name) {
	case "message-id":
		i.text(&i.messageID, f.Value)
	case "received":
		i.received, i.received2 = i.received2, i.received
		i.text(&i.received, f.Value)
		i.pathFrom(c, f.Value)
	case "in-reply-to":
		i.text(&i.inReplyTo, f.Value)
	case "subject":
		i.text(&i.subject, f.Value)
	case "from":
		i.text(&i.from, f.Value)
	case "reply-to":
		i.text(&i.replyTo, f.Value)
	case "date":
		i.text(&i.date, f.Value)
	case "to":
		i.mailboxes(c, &i.to, f.Value, "smtp_too_many_to_addresses")
	case "cc":
		i.mailboxes(c, &i.cc, f.Value, "smtp_too_many_cc_addresses")
	case "x-originating-ip":
		for _, s := range i.log.addresses(f.Value) {
			if s.valid {
				i.origin, i.hasOrigin = s.addr, true
				break
			}
		}
	case "x-mailer", "user-agent", "x-user-agent":
		i.text(&i.agent, f.Value)
	}
}

// mailboxes takes a field with mailboxes: names and addresses as they are written.
func (i *info) mailboxes(c analyzer.Conn, s *set, v []byte, weird string) {
	s.set = true
	eachMailbox(v, func(b []byte) bool {
		if limit := i.log.cfg.Addresses; limit > 0 && s.len() >= limit {
			c.Weird(weird, "", "")
			return false
		}
		i.add(s, trimSpace(b))
		return true
	})
}

// pathFrom adds the address in a Received field to the path: the second one that
// stands in brackets or blanks, or the only one.
func (i *info) pathFrom(c analyzer.Conn, v []byte) {
	a, ok := i.log.hop(v)
	if !ok || i.path[len(i.path)-1] == a {
		return
	}
	if limit := i.log.cfg.Path; limit > 0 && len(i.path) >= limit {
		c.Weird("smtp_max_path_length_exceeded", "", "")
		return
	}
	i.path = append(i.path, a)
}
