package smtp

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
)

// take takes a line, or bytes of a chunk.
func (a *smtp) take(data []byte, orig bool) {
	if a.state == inTLS {
		a.child.Forward(a.c, orig, data)
		return
	}
	client := orig != a.turned
	if client && a.bdat.on && len(data) > 0 {
		if data = a.chunk(data, orig); len(data) == 0 {
			return
		}
	}
	for len(data) > 0 && data[len(data)-1] == '\r' {
		data = data[:len(data)-1]
	}
	if client {
		a.clientLine(data, orig)
	} else {
		a.serverLine(data, orig)
	}
}

// clientLine takes a line of who sends mail.
func (a *smtp) clientLine(l []byte, orig bool) {
	switch {
	case a.state == afterGap: // a command or a line of a mail: nobody knows
	case a.state == inData && len(l) == 1 && l[0] == '.':
		a.sent(cmdEndOfData)
		a.commandChanges(cmdEndOfData, orig)
		a.request(".", l)
		a.noBDAT()
	case a.state == inData:
		if len(l) > 0 && l[0] == '.' {
			l = l[1:]
		}
		if !a.mail.Open() {
			a.beginData(orig, inData)
		}
		a.mail.Line(a.c, l, true)
	case a.state == inAuth:
		a.sent(cmdAnswer)
		a.request("**", l)
		a.noBDAT()
	default:
		a.command(l, orig)
	}
}

// command takes a line that is a command.
func (a *smtp) command(l []byte, orig bool) {
	n := 0
	for n < len(l) && l[n] != 0 && !isSpace(l[n]) {
		n++
	}
	cmd, name := parseCommand(l[:n])
	if cmd == cmdNone {
		return
	}
	arg := skipBlanks(l[n:])
	a.sent(cmd)
	if cmd == cmdEndOfData {
		a.commandChanges(cmd, orig)
	}
	a.request(name, arg)
	if cmd == cmdBDAT {
		if a.beginChunk(arg, orig) {
			a.commandChanges(cmd, orig)
		}
		return
	}
	a.noBDAT()
	if cmd != cmdEndOfData {
		a.commandChanges(cmd, orig)
	}
}

// noBDAT ends a mail in chunks whose last one did not come.
func (a *smtp) noBDAT() {
	if a.bdat.on {
		a.weird("smtp_missing_bdat_last_chunk", "")
		a.endData()
	}
}

// serverLine takes a line of who receives mail.
func (a *smtp) serverLine(l []byte, orig bool) {
	code := replyCode(l)
	if code == 0 {
		a.c.Violation(service, "reply code -1 out of range", l)
		return
	}
	if a.more != code {
		a.more = 0
	}
	a.tls = false
	if a.more == 0 {
		a.answered(code, orig)
	}
	text := l[3:]
	if a.more = 0; len(l) > 3 && l[3] == '-' {
		a.more = code
		text = l[4:]
	}
	r := &a.s.reply
	*r = Reply{Code: code, Command: a.replied.word(), Text: skipBlanks(text), More: a.more > 0, TLS: a.tls}
	a.h.Reply(a.c, r)
	r.Text = nil
}

// replyCode returns the code that a line begins with; 0 if there is none.
func replyCode(l []byte) int {
	if len(l) < 3 {
		return 0
	}
	code := 0
	for _, c := range l[:3] {
		if c < '0' || c > '9' {
			return 0
		}
		code = 10*code + int(c-'0')
	}
	if code < 100 || code > 599 {
		return 0
	}
	return code
}

// request tells of a command. The content of a mail before it comes first, as it
// does where a packet ends between them: the command may end the mail's row.
func (a *smtp) request(name string, arg []byte) {
	a.mail.Flush(a.c)
	a.confirm()
	r := &a.s.request
	r.Command, r.Arg = name, arg
	a.h.Request(a.c, r)
	r.Arg = nil
}

// beginData begins a mail.
func (a *smtp) beginData(orig bool, state uint8) {
	a.state = state
	if a.mail.Open() {
		a.weird("smtp_nested_mail_transaction", "")
		a.mail.End(a.c)
	}
	a.mail.Begin(a.c, orig)
}

// endData ends the mail at hand.
func (a *smtp) endData() {
	if a.bdat.on {
		if a.bdat.left > 0 {
			a.weird("smtp_bdat_remaining_at_end_data", "")
			a.dir[0].lines.Plain(0)
			a.dir[1].lines.Plain(0)
		}
		a.endBDAT()
	}
	if !a.mail.Open() {
		a.weird("smtp_unmatched_end_of_data", "")
		return
	}
	a.mail.End(a.c)
}

// startTLS begins TLS: both sides' bytes are its from here on.
func (a *smtp) startTLS(orig bool) {
	a.state, a.tls = inTLS, true
	a.child = analyzer.StartTLS(a.c)
	// What came in one piece with the reply. The other side's line that has begun
	// is forgotten.
	a.side(orig).lines.PlainRest()
}
