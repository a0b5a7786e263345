package pop3

import (
	"bytes"

	"github.com/picket-nsm/picket/traffic/format/mime"
	"github.com/picket-nsm/picket/zeek/value"
)

// How far a session has come.
const (
	begun = iota
	authorization
	transaction
	update
	finished
)

type command int8

// Commands, and the server's two answers, in the order in which signs before a
// word are taken off.
const (
	cmdNone command = iota - 1
	cmdOK
	cmdERR
	cmdUSER
	cmdPASS
	cmdAPOP
	cmdAUTH
	cmdSTAT
	cmdLIST
	cmdRETR
	cmdDELE
	cmdRSET
	cmdNOOP
	cmdLAST
	cmdQUIT
	cmdTOP
	cmdCAPA
	cmdUIDL
	cmdSTLS
	cmdXSENDER
)

// session is the state of a connection.
type session struct {
	stage    uint8
	at       command // whose reply is next
	first    bool    // at is one; else it is the banner
	plain    bool    // AUTH is by PLAIN
	guess    bool    // the session seems to be further than was seen:
	guessed  command // if the reply is good, it was this command's
	asksMore bool    // a good reply has several lines
	more     bool    // they come
	auth     bool    // the client's next lines are answers of AUTH
	unknown  int
}

// parseCommand reads a word. It may have one sign in front, or more the later it
// stands in the list: a sign goes with each comparison, as in Zeek.
func parseCommand(word []byte) command {
	signs := 0
	for signs < len(word) && (word[signs] == '+' || word[signs] == '-') {
		signs++
	}
	if word = word[signs:]; len(word) < 2 || len(word) > len("XSENDER") {
		return cmdNone
	}
	var buf [len("XSENDER")]byte
	up := buf[:len(word)]
	for i, b := range word {
		if b >= 'a' && b <= 'z' {
			b -= 'a' - 'A'
		}
		up[i] = b
	}
	c := cmdNone
	switch string(up) {
	case "OK":
		c = cmdOK
	case "ERR":
		c = cmdERR
	case "USER":
		c = cmdUSER
	case "PASS":
		c = cmdPASS
	case "APOP":
		c = cmdAPOP
	case "AUTH":
		c = cmdAUTH
	case "STAT":
		c = cmdSTAT
	case "LIST":
		c = cmdLIST
	case "RETR":
		c = cmdRETR
	case "DELE":
		c = cmdDELE
	case "RSET":
		c = cmdRSET
	case "NOOP":
		c = cmdNOOP
	case "LAST":
		c = cmdLAST
	case "QUIT":
		c = cmdQUIT
	case "TOP":
		c = cmdTOP
	case "CAPA":
		c = cmdCAPA
	case "UIDL":
		c = cmdUIDL
	case "STLS":
		c = cmdSTLS
	case "XSENDER":
		c = cmdXSENDER
	}
	if signs > int(c)+1 {
		return cmdNone
	}
	return c
}

// words splits a line up to its first NUL into a word and the rest. Blanks in
// front and at the end do not count.
func words(l []byte) (word, rest []byte) {
	if n := bytes.IndexByte(l, 0); n >= 0 {
		l = l[:n]
	}
	for len(l) > 0 && (l[0] == ' ' || l[0] == '\t') {
		l = l[1:]
	}
	l = bytes.TrimRight(l, " ")
	word, rest, _ = bytes.Cut(l, []byte(" "))
	return word, bytes.TrimLeft(rest, " ")
}

// shown is a word as weirds show it.
func shown(word []byte) string {
	if len(word) == 0 {
		return "???"
	}
	return value.Borrow(word)
}

// request takes a line of the client.
func (a *pop3) request(l []byte) {
	switch {
	case len(l) == 0:
		return
	case a.auth:
		a.answer(l)
		return
	}
	a.push(l)
	if limit := a.s.cfg.Pending; limit > 0 && len(a.waiting) > limit {
		a.weird("pop3_client_too_many_pending_commands", "")
		a.next()
	}
	if len(a.waiting) == 1 {
		a.command()
	}
}

// answer takes what a client says within AUTH. It is looked at for mistakes alone.
func (a *pop3) answer(l []byte) {
	if n := bytes.IndexByte(l, 0); n >= 0 {
		l = l[:n]
	}
	var d mime.Base64Decoder
	plain, problem := d.Decode(a.s.scratch[:0], l)
	if problem != "" {
		a.c.Weird("base64_illegal_encoding", problem, "")
	}
	if d.Failed() {
		a.weird("pop3_bad_base64_encoding", "")
		return
	}
	if plain, problem = d.End(plain); problem != "" {
		a.c.Weird("base64_illegal_encoding", problem, "")
	}
	if a.plain {
		// Two names and the password, with a NUL between.
		_, rest, _ := bytes.Cut(plain, []byte{0})
		if _, password, ok := bytes.Cut(rest, []byte{0}); !ok || len(password) == 0 {
			a.weird("pop3_malformed_auth_plain", "")
		}
	}
	clear(plain)
	if a.s.scratch = plain[:0]; cap(plain) > keepScratch {
		a.s.scratch = nil
	}
}

// keepScratch is the largest buffer that is kept.
const keepScratch = 4 << 10

// command takes the command at hand.
func (a *pop3) command() {
	if len(a.waiting) == 0 {
		return
	}
	word, arg := words(a.waiting[0])
	cmd := parseCommand(word)
	if cmd == cmdNone {
		if a.auth {
			return
		}
		a.weird("pop3_client_command_unknown", shown(word))
		a.unknown++
		if limit := a.s.cfg.Unknown; limit > 0 && a.unknown > limit {
			a.c.Violation(service, "too many unknown client commands", nil)
		}
		return
	}
	switch cmd {
	case cmdOK, cmdERR:
		a.weird("pop3_client_sending_server_commands", "")
	case cmdUSER, cmdAPOP:
		if a.stage == authorization {
			a.expect(cmd)
		}
	case cmdPASS:
		if a.stage == authorization && a.first && a.at == cmdUSER {
			a.expect(cmd)
		}
	case cmdAUTH:
		if a.stage == authorization {
			a.expect(cmd)
			a.authMethod(arg)
		}
	case cmdCAPA:
		a.expect(cmd)
		a.asksMore = true
	case cmdSTLS:
		a.expect(cmd)
	case cmdQUIT:
		switch a.stage {
		case begun, authorization, transaction:
			a.expect(cmd)
		default:
			a.guess, a.guessed = true, cmdLAST
		}
	default:
		switch cmd {
		case cmdRETR, cmdTOP:
			a.asksMore = true
		case cmdLIST, cmdUIDL:
			a.asksMore = a.asksMore || len(arg) == 0
		}
		if a.stage == transaction {
			a.expect(cmd)
		} else {
			a.guess, a.guessed = true, cmd
		}
	}
}

func (a *pop3) expect(cmd command) { a.at, a.first = cmd, true }

// authMethod takes the argument of AUTH: none asks for a list.
func (a *pop3) authMethod(arg []byte) {
	if len(arg) == 0 {
		a.asksMore = true
		return
	}
	a.plain = bytes.Contains(arg, []byte("PLAIN")) && !bytes.Contains(arg, []byte("LOGIN"))
	a.auth = true
}

// done goes on to the next command.
func (a *pop3) done() {
	if len(a.waiting) > 0 {
		a.next()
		a.command()
	}
}

// reply takes a line of the server.
func (a *pop3) reply(l []byte) {
	if a.more {
		if len(l) == 1 && l[0] == '.' {
			a.asksMore, a.more = false, false
			if a.mail.Open() {
				a.mail.End(a.c)
			}
			a.done()
		} else if a.first && (a.at == cmdRETR || a.at == cmdTOP) && a.mail.Open() {
			a.mail.Line(a.c, l, true)
		}
		return
	}
	word, _ := words(l)
	switch parseCommand(word) {
	case cmdNone:
		if !a.auth {
			a.c.Violation(service, "unknown server command ("+shown(word)+")", l)
			a.weird("pop3_server_command_unknown", shown(word))
		}
	case cmdOK:
		a.good(l)
	case cmdERR:
		a.bad()
	default:
		a.weird("pop3_server_sending_client_commands", "")
	}
}

// good takes a good reply.
func (a *pop3) good(l []byte) {
	if a.guess {
		a.stage, a.guess = transaction, false
		a.expect(a.guessed)
	}
	switch {
	case !a.first:
		a.stage = authorization
	default:
		switch a.at {
		case cmdUSER:
			a.stage = authorization
			a.c.Confirm(service)
		case cmdPASS, cmdAPOP, cmdNOOP, cmdLAST, cmdSTAT, cmdRSET, cmdDELE, cmdXSENDER:
			a.stage = transaction
		case cmdAUTH:
			a.more = a.more || a.asksMore
			if a.auth {
				a.stage = transaction
			}
			a.auth = false
		case cmdTOP, cmdRETR:
			if !a.mail.Open() {
				a.mail.Begin(a.c, false)
			}
			a.mail.Line(a.c, l, true) // as in Zeek
			a.more = a.more || a.asksMore
		case cmdCAPA:
			a.c.Confirm(service)
			a.more = a.more || a.asksMore
		case cmdUIDL, cmdLIST:
			a.more = a.more || a.asksMore
		case cmdSTLS:
			a.c.Confirm(service)
			a.startTLS()
			return
		case cmdQUIT:
			switch a.stage {
			case begun, authorization:
				a.stage = finished
			case transaction:
				a.stage = update
			}
		}
	}
	if !a.more {
		a.done()
	}
}

// bad takes a bad reply.
func (a *pop3) bad() {
	a.more, a.asksMore, a.guess, a.auth = false, false, false, false
	if a.first {
		switch a.at {
		case cmdUSER, cmdPASS, cmdAPOP, cmdAUTH:
			a.stage, a.first = authorization, false
		case cmdNOOP, cmdLAST, cmdSTAT, cmdRSET, cmdDELE, cmdLIST, cmdRETR, cmdUIDL, cmdTOP, cmdXSENDER:
			a.stage = transaction
		case cmdQUIT:
			switch a.stage {
			case begun, authorization, transaction:
				a.stage = finished
			}
		}
	}
	a.done()
}
