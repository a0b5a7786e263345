package ftp

import (
	"bytes"
	"strconv"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// nvt is one side's lines: a Network Virtual Terminal (RFC 854) whose lines end
// with CR LF or LF, and whose options are taken out.
type nvt struct {
	buf   []byte // the line at hand
	last  byte   // the byte before
	state nvtState
	nul   bool // a NUL was reported: further ones belong to the line
}

type nvtState uint8

const (
	inText      nvtState = iota
	behindIAC            // IAC was seen
	inOption             // and a command that has an option behind it
	inSuboption          // and SB: until IAC SE
	inSuboptionIAC
)

// Commands of Telnet.
const (
	telnetSE   = 240
	telnetSB   = 250
	telnetWill = 251
	telnetDont = 254
	telnetIAC  = 255
)

// lineSource is the source of weirds about lines.
const lineSource = "NVT"

// keepLine is how much memory for lines is kept for reuse.
const keepLine = 1024

// once remembers what is said once per connection.
type once struct{ cr, nul bool }

func (v *nvt) reset() {
	if cap(v.buf) > keepLine {
		v.buf = nil
	}
	*v = nvt{buf: v.buf[:0]}
}

// feed takes bytes of one side. It returns those behind a line that was the last
// one.
func (f *ftp) feed(c analyzer.Conn, orig bool, data []byte) []byte {
	v := f.side(orig)
	for len(data) > 0 && !f.over {
		if n := v.whole(data, f.s.cfg.MaxLine); n > 0 {
			line := data[:n-1]
			if n > 1 && line[n-2] == '\r' {
				line = line[:n-2]
			}
			v.last = '\n'
			data = data[n:]
			f.line(c, orig, line)
			continue
		}
		b := data[0]
		data = data[1:]
		f.take(c, orig, v, b)
	}
	return data
}

// whole returns how many bytes a line has that lies there in one piece and holds
// nothing special; 0: it does not.
func (v *nvt) whole(data []byte, limit int) int {
	if len(v.buf) > 0 || v.state != inText || v.last == '\r' {
		return 0
	}
	n := bytes.IndexByte(data, '\n') + 1
	if n == 0 || n > limit {
		return 0
	}
	for i, b := range data[:n-1] {
		if b == 0 || b == telnetIAC || b == '\r' && i != n-2 {
			return 0
		}
	}
	return n
}

// take takes a byte.
func (f *ftp) take(c analyzer.Conn, orig bool, v *nvt, b byte) {
	switch v.state {
	case inText:
		f.text(c, orig, v, b)
	case behindIAC:
		switch {
		case b == telnetIAC: // stands for itself
			v.buf = append(v.buf, b)
			v.last, v.state = b, inText
		case b == telnetSB:
			v.state = inSuboption
		case b >= telnetWill && b <= telnetDont:
			v.state = inOption
		default:
			v.state = inText
		}
	case inOption:
		v.state = inText
	case inSuboption:
		if b == telnetIAC {
			v.state = inSuboptionIAC
		}
	case inSuboptionIAC:
		switch b {
		case telnetIAC:
			v.state = inSuboption
		case telnetSE:
			v.state = inText
		default: // it ends the option, too, and begins another
			v.state = behindIAC
			f.take(c, orig, v, b)
		}
	}
}

// text takes a byte that is not of an option.
func (f *ftp) text(c analyzer.Conn, orig bool, v *nvt, b byte) {
	if limit := f.s.cfg.MaxLine; len(v.buf) >= limit {
		// As in Zeek, the last byte and the one at hand are lost.
		limitReached(c, "nvt_line_size_exceeded", lineSource, limit, 0)
		v.last = 0
		f.emit(c, orig, v, v.buf[:limit-1])
		return
	}
	before := v.last
	v.last = b
	switch b {
	case '\n':
		line := v.buf
		if before == '\r' && len(line) > 0 {
			line = line[:len(line)-1]
		}
		f.emit(c, orig, v, line)
		return
	case 0:
		switch {
		case before == '\r':
		case v.nul:
			v.buf = append(v.buf, b)
		default:
			v.nul = true
			say(c, &f.once.nul, "NUL_in_line")
		}
	case telnetIAC:
		v.last, v.state = before, behindIAC
		return
	default:
		v.buf = append(v.buf, b)
	}
	if before == '\r' && b != 0 {
		say(c, &f.once.cr, "line_terminated_with_single_CR")
	}
}

// emit hands over a line that lies in the buffer.
func (f *ftp) emit(c analyzer.Conn, orig bool, v *nvt, line []byte) {
	f.line(c, orig, line)
	v.buf = v.buf[:0]
	if cap(v.buf) > keepLine {
		v.buf = nil
	}
}

func say(c analyzer.Conn, said *bool, name string) {
	if !*said {
		*said = true
		c.Weird(name, "", lineSource)
	}
}

// limitReached reports that n is more than the limit; 0: only the limit n.
func limitReached(c analyzer.Conn, name, source string, n, limit int) {
	var buf [48]byte
	b := strconv.AppendInt(buf[:0], int64(n), 10)
	if limit > 0 {
		b = strconv.AppendInt(append(b, " > "...), int64(limit), 10)
	}
	c.Weird(name, value.Borrow(b), source)
	analyzer.ReachLimit(c)
}
