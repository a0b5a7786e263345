package smtp

import "strings"

// Where a session stands: a guess, made from commands as if they succeeded and
// corrected by replies.
const (
	connected = iota // before the banner
	initiated
	notAvailable
	ready
	mailOK
	rcptOK
	inData
	afterData
	inAuth
	inTLS
	quit
	afterGap    // until a reply
	gapRecovery // behind it
	inBDAT
)

type command uint8

// Commands. The first four words of the last line are no commands.
const (
	cmdNone command = iota // not known
	cmdEHLO
	cmdHELO
	cmdMAIL
	cmdRCPT
	cmdDATA
	cmdQUIT
	cmdRSET
	cmdVRFY
	cmdEXPN
	cmdHELP
	cmdNOOP
	cmdSTARTTLS
	cmdAnonymousTLS
	cmdSEND
	cmdSOML
	cmdSAML
	cmdTURN
	cmdBDAT
	cmdETRN
	cmdAUTH
	cmdBegin // the connection's
	cmdEndOfData
	cmdAnswer // within AUTH
	numCommands
)

// word returns a command's name in replies.
func (c command) word() string {
	if c >= numCommands {
		c = cmdNone
	}
	return [...]string{
		"(UNKNOWN)", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "QUIT", "RSET", "VRFY", "EXPN", "HELP", "NOOP", "STARTTLS",
		"X_ANONYMOUSTLS", "SEND", "SOML", "SAML", "TURN", "BDAT", "ETRN", "AUTH", ">", ".", "AUTH_ANSWER",
	}[c]
}

// parseCommand finds a command by its word, whatever its case. Zeek takes its own
// names of things that are no commands for commands, too.
func parseCommand(word []byte) (c command, name string) {
	if len(word) < 4 || len(word) > len("CONN_ESTABLISHMENT") {
		return cmdNone, ""
	}
	var buf [len("CONN_ESTABLISHMENT")]byte
	up := buf[:len(word)]
	for i, b := range word {
		if b >= 'a' && b <= 'z' {
			b -= 'a' - 'A'
		}
		up[i] = b
	}
	switch string(up) {
	case "EHLO":
		return cmdEHLO, "EHLO"
	case "HELO":
		return cmdHELO, "HELO"
	case "MAIL":
		return cmdMAIL, "MAIL"
	case "RCPT":
		return cmdRCPT, "RCPT"
	case "DATA":
		return cmdDATA, "DATA"
	case "QUIT":
		return cmdQUIT, "QUIT"
	case "RSET":
		return cmdRSET, "RSET"
	case "VRFY":
		return cmdVRFY, "VRFY"
	case "EXPN":
		return cmdEXPN, "EXPN"
	case "HELP":
		return cmdHELP, "HELP"
	case "NOOP":
		return cmdNOOP, "NOOP"
	case "STARTTLS":
		return cmdSTARTTLS, "STARTTLS"
	case "SEND":
		return cmdSEND, "SEND"
	case "SOML":
		return cmdSOML, "SOML"
	case "SAML":
		return cmdSAML, "SAML"
	case "TURN":
		return cmdTURN, "TURN"
	case "BDAT":
		return cmdBDAT, "BDAT"
	case "ETRN":
		return cmdETRN, "ETRN"
	case "AUTH":
		return cmdAUTH, "AUTH"
	case "X_ANONYMOUSTLS":
		return cmdAnonymousTLS, "X_ANONYMOUSTLS"
	case "X-ANONYMOUSTLS":
		return cmdAnonymousTLS, "X-ANONYMOUSTLS"
	case "CONN_ESTABLISHMENT":
		return cmdBegin, "CONN_ESTABLISHMENT"
	case "END_OF_DATA":
		return cmdEndOfData, "END_OF_DATA"
	case "AUTH_ANSWER":
		return cmdAnswer, "AUTH_ANSWER"
	}
	return cmdNone, ""
}

// session is the state of a connection.
type session struct {
	state   uint8
	deaf    bool      // nothing is looked at any more
	turned  bool      // the responder sends commands (TURN)
	first   command   // the first one without reply, if there is one
	waits   bool      // there is
	replied command   // the last one with a reply
	pending []command // those behind the first
	more    int       // code of a reply that goes on; 0: none does
	tls     bool      // the reply at hand begins TLS
}

func newSession() session {
	return session{state: initiated, first: cmdBegin, waits: true, replied: cmdNone}
}

// sent notes a command that waits for its reply.
func (a *smtp) sent(cmd command) {
	if !a.waits {
		a.first, a.waits = cmd, true
		return
	}
	if len(a.pending) >= a.s.cfg.Pending {
		a.weird("smtp_excessive_pending_cmds", "")
		a.pending = a.pending[:0]
	}
	a.pending = append(a.pending, cmd)
}

// answered takes the first line of a reply.
func (a *smtp) answered(code int, orig bool) {
	if a.state == afterGap {
		a.state = gapRecovery
		a.request("(UNKNOWN)", nil)
	}
	cmd := a.first
	a.replied, a.first, a.waits = cmd, cmdNone, false
	if len(a.pending) > 0 {
		a.first, a.waits = a.pending[0], true
		a.pending = a.pending[:copy(a.pending, a.pending[1:])]
	}
	a.replyChanges(cmd, code, orig)
}

// commandChanges changes the state as if the command succeeded.
func (a *smtp) commandChanges(cmd command, orig bool) {
	switch cmd {
	case cmdBegin:
		a.state = initiated
	case cmdEHLO, cmdHELO, cmdRSET:
		a.state = ready
	case cmdMAIL, cmdSEND, cmdSOML, cmdSAML:
		a.state = mailOK
	case cmdRCPT:
		a.state = rcptOK
	case cmdDATA:
		a.beginData(orig, inData)
	case cmdBDAT:
		a.state = inBDAT
	case cmdEndOfData:
		a.endData()
		a.state = afterData
	case cmdQUIT:
		a.state = quit
	}
}

// replyChanges corrects that by the reply.
func (a *smtp) replyChanges(cmd command, code int, orig bool) {
	switch cmd {
	case cmdBegin:
		if code == 421 || code == 554 {
			a.state = notAvailable
		}
	case cmdEHLO, cmdHELO:
		switch code {
		case 421, 500, 501, 504, 550:
			a.state = initiated
		}
	case cmdMAIL, cmdSEND, cmdSOML, cmdSAML:
		switch code {
		case 421, 451, 452, 500, 501, 503, 550, 552, 553:
			if a.state != inData {
				a.state = ready
			}
		}
	case cmdDATA:
		if code == 354 {
			return
		}
		if a.state == inData {
			a.endData()
		}
		if a.state = ready; code == 421 {
			a.state = quit
		}
	case cmdEndOfData:
		a.state = ready
	case cmdAUTH, cmdAnswer:
		if a.state = initiated; code == 334 {
			a.state = inAuth
		}
	case cmdTURN:
		if code == 250 {
			a.turned, a.state = !a.turned, connected
		}
	case cmdSTARTTLS, cmdAnonymousTLS:
		if code == 220 {
			a.startTLS(orig)
		}
	case cmdRCPT, cmdBDAT, cmdRSET, cmdQUIT:
	default:
		if a.state == gapRecovery && code == 354 {
			a.beginData(orig, inData)
		}
	}
}

// isSpace is C's isspace.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func skipBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// folded reports whether b is word, whatever its case.
func folded(b []byte, word string) bool {
	return len(b) == len(word) && strings.EqualFold(string(b), word)
}
