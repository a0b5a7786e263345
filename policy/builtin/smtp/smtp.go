// Package smtp writes smtp.log: one row for each mail, and for sessions that
// begin TLS.
//
// It stands behind the SMTP analyzer, whose Handler it implements, and hands rows
// to the log stream. It names the files that mails carry and notes their ids in
// the row. It owns, per connection, the row in the making, bounded in bytes and in
// elements. It never looks at packets or content.
//
// The rules are those of Zeek 9.0's scripts: a row begins with the connection or
// with the answer to the mail before, and is written when the mail is answered,
// when the next one begins, or when the connection goes, if the client has done
// anything.
package smtp

import (
	"strconv"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/smtp"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/mime"
	"github.com/picket-nsm/picket/traffic/mail"
	"github.com/picket-nsm/picket/zeek/text"
	"github.com/picket-nsm/picket/zeek/value"
)

// Config is what a user may set.
type Config struct {
	Validate  bool // say when commands of a mail are missing (mail_transaction_validation)
	Invalid   int  // mails with commands missing after which nothing is read (max_invalid_mail_transactions)
	Addresses int  // addresses of each kind in a row (max_rcptto_addresses, max_to_addresses, max_cc_addresses)
	Path      int  // addresses in a path (max_path_length)
}

// Default returns the settings of Zeek's default scripts.
func Default() Config { return Config{Validate: true, Invalid: 25, Addresses: 1000, Path: 1000} }

const (
	// maxText is how much of a text is kept: one byte more than the log writers
	// allow a whole row.
	maxText = 256_001
	// maxHeld is how many bytes of text the row of one connection may hold. Beyond
	// it, texts are cut to shortText.
	maxHeld   = 1 << 20
	shortText = 256
	// maxFiles is one more than the elements that log writers keep.
	maxFiles = 101
	// maxFree, keepText and keepList bound what is kept for reuse.
	maxFree  = 512
	keepText = 2048
	keepList = 16
)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	cfg   Config
	write func(row []value.Value)
	row   []value.Value
	elems [5][]value.Value
	text  []byte
	spots []spot
	free  freelist.List[*info]
	cut   uint64
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns.
func New(cfg Config, write func(row []value.Value)) *Log {
	return &Log{cfg: cfg, write: write, row: make([]value.Value, numColumns), free: freelist.New[*info](maxFree)}
}

// Handler returns what one analyzer's messages go to; it is what the SMTP factory
// wants.
func (l *Log) Handler() wire.Handler { return &handler{log: l} }

// Cut returns how many texts were cut because a connection held too many bytes.
func (l *Log) Cut() uint64 { return l.cut }

// handler is the state of one connection.
type handler struct {
	log      *Log
	row      *info // in the making; nil before the first command or reply
	helo     rows.Text
	mails    uint64 // answered so far
	parts    uint64 // of all mails
	invalid  int
	hasFrom  bool // of the mail at hand
	hasRcpt  bool
	lastBDAT bool // the last chunk was sent, and not answered
	removed  bool
}

// Request implements the analyzer's Handler.
func (h *handler) Request(c analyzer.Conn, r *wire.Request) {
	h.begin(c)
	i := h.row
	switch r.Command {
	case "HELO", "EHLO":
		h.helo.Put(r.Arg[:min(len(r.Arg), maxText)])
		i.text(&i.helo, r.Arg)
	case "RCPT":
		if prefixFolded(r.Arg, "to:") {
			h.recipient(c, r.Arg)
		}
	case "MAIL":
		if !prefixFolded(r.Arg, "from:") {
			return
		}
		h.flush(c) // the answer to the last mail was not seen
		i = h.row
		if a := firstAddress(r.Arg); a != nil {
			h.log.text = stripAddress(h.log.text[:0], a)
			i.text(&i.mailFrom, h.log.text)
		}
		i.active = true
		h.hasFrom, h.hasRcpt = true, false
	case "DATA", "BDAT":
		if h.log.cfg.Validate && !h.hasRcpt {
			h.incomplete(c, "data missing rcpt to")
		}
		if r.Command == "BDAT" && hasSuffix(r.Arg, " LAST") {
			h.hasFrom, h.hasRcpt, h.lastBDAT = false, false, true
		}
	case ".":
		h.hasFrom, h.hasRcpt = false, false
	}
}

// recipient takes the argument of RCPT.
func (h *handler) recipient(c analyzer.Conn, arg []byte) {
	i, l := h.row, h.log
	i.rcptTo.set = true
	eachAddress(arg, func(a []byte) bool {
		if l.cfg.Addresses > 0 && i.rcptTo.len() >= l.cfg.Addresses {
			c.Weird("smtp_too_many_rcptto_addresses", "", "")
			return false
		}
		l.text = dropORCPT(stripAddress(l.text[:0], a))
		i.add(&i.rcptTo, l.text)
		return true
	})
	i.active, h.hasRcpt = true, true
	if l.cfg.Validate && !h.hasFrom {
		h.incomplete(c, "rcpt to missing mail from")
	}
}

// incomplete says that a command is missing. After many nothing more is read.
func (h *handler) incomplete(c analyzer.Conn, what string) {
	c.Weird("smtp_mail_transaction_invalid", what, wire.Name)
	h.invalid++
	limit := h.log.cfg.Invalid
	if limit <= 0 || h.invalid <= limit || h.removed {
		return
	}
	h.removed = true
	c.Weird("smtp_excessive_invalid_mail_transactions", strconv.Itoa(h.invalid)+" > "+strconv.Itoa(limit), wire.Name)
	analyzer.ReachLimit(c)
	analyzer.Remove(c)
}

// Reply implements the analyzer's Handler.
func (h *handler) Reply(c analyzer.Conn, r *wire.Reply) {
	if r.TLS && h.row != nil {
		h.row.tls, h.row.active = true, true
	}
	h.begin(c)
	i, l := h.row, h.log
	l.text = append(append(strconv.AppendInt(l.text[:0], int64(r.Code), 10), ' '), r.Text...)
	i.text(&i.lastReply, l.text)
	if r.Command == "." || !r.More && r.Command == "BDAT" && h.lastBDAT {
		h.mails++
		h.lastBDAT = false
		h.flush(c)
		h.renew(c)
	}
}

// Entity implements the analyzer's Handler.
func (h *handler) Entity(_ analyzer.Conn, begins bool) {
	i := h.row
	if begins {
		h.parts++
	}
	if i == nil {
		return
	}
	i.inEntity, i.name.Set = begins, false
	if begins {
		i.entities++
	}
}

// Header implements the analyzer's Handler.
func (h *handler) Header(c analyzer.Conn, f *mail.Header) {
	i := h.row
	if i == nil {
		return
	}
	if i.entities <= 1 {
		i.header(c, f)
	}
	if !i.inEntity {
		c.Weird("missing_SMTP_entity", "", wire.Name)
		return
	}
	if mime.NamesFile(f.Name, f.Value) {
		i.name.B, i.name.Set = mime.AppendFileName(i.name.B[:0], f.Value), true
	}
}

// FileHandle implements files.Owner: a file has its name from its place among the
// parts of the connection's mails.
func (h *handler) FileHandle(c analyzer.Conn, _ bool, dst []byte) []byte {
	if h.row == nil {
		return dst
	}
	dst = append(dst, "Analyzer::ANALYZER_SMTP"...)
	dst = text.AppendDouble(dst, float64(c.ID().Start))
	dst = strconv.AppendUint(dst, h.row.depth, 10)
	return strconv.AppendUint(dst, h.parts, 10)
}

// FileOver implements files.Owner.
func (h *handler) FileOver(_ analyzer.Conn, f *files.File) {
	i := h.row
	if i == nil {
		return
	}
	if i.inEntity && i.name.Set {
		f.Name, f.HasName = string(i.name.B), true
	}
	f.Depth = h.parts
	if !i.tls && len(i.files) < maxFiles {
		i.files = append(i.files, f.ID)
	}
}

// End implements the analyzer's Handler: what waits is written.
func (h *handler) End(analyzer.Conn) {
	if i := h.row; i != nil {
		if i.active {
			h.log.emit(i)
		}
		h.log.drop(i)
	}
	*h = handler{log: h.log, helo: h.helo.Emptied(keepText)}
}

// begin begins a row if there is none.
func (h *handler) begin(c analyzer.Conn) {
	if h.row == nil {
		h.renew(c)
	}
}

// renew begins a row in place of the one at hand.
func (h *handler) renew(c analyzer.Conn) {
	h.log.drop(h.row)
	i := h.log.take()
	h.row = i
	i.Conn.Begin(c)
	i.depth = h.mails + 1
	i.path = append(i.path[:0], i.ID.Resp, i.ID.Orig)
	if h.helo.Set {
		i.text(&i.helo, h.helo.B)
	}
}

// flush writes the row at hand and begins another, if the client has done
// anything.
func (h *handler) flush(c analyzer.Conn) {
	if h.row.active {
		h.log.emit(h.row)
		h.renew(c)
	}
}

func (l *Log) take() *info {
	if i := l.free.Take(); i != nil {
		return i
	}
	return &info{log: l}
}

func (l *Log) drop(i *info) {
	if i == nil {
		return
	}
	i.reset()
	l.free.Keep(i)
}
