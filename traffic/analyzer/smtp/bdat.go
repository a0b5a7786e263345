package smtp

import (
	"strconv"
)

// bdat is a mail that comes in chunks (RFC 3030).
type bdat struct {
	on   bool
	last bool
	left uint64 // bytes of the chunk at hand that are to come
	rest []byte // a line that has begun
}

// bdatSource is the source of weirds about the content of chunks.
const bdatSource = "SMTP_BDAT"

// beginChunk reads the argument of BDAT. It returns false if that is wrong.
func (a *smtp) beginChunk(arg []byte, orig bool) bool {
	size, last, problem := bdatArg(arg)
	if problem != "" {
		a.weird("smtp_invalid_bdat_command", problem)
		return false
	}
	if size > 1<<63-1 {
		a.weird("smtp_huge_bdat_chunk", strconv.FormatUint(size, 10))
		return false
	}
	a.side(orig).lines.Plain(int64(size))
	b := &a.bdat
	if !b.on {
		a.beginData(orig, inBDAT)
		b.on = true
	}
	b.last, b.left = last, size
	return true
}

// bdatArg reads a size, and LAST if that follows.
func bdatArg(arg []byte) (size uint64, last bool, problem string) {
	const longest = len("18446744073709551615 LAST")
	if len(arg) == 0 || len(arg) > longest {
		return 0, false, "BDAT argument bad length"
	}
	n := 0
	for n < len(arg) && arg[n] >= '0' && arg[n] <= '9' {
		n++
	}
	if n == 0 {
		return 0, false, "BDAT not followed by a valid chunk-size"
	}
	rest := arg[n:]
	if len(rest) > 0 && rest[0] != ' ' && rest[0] != 0 {
		return 0, false, "BDAT chunk-size not valid"
	}
	size, err := strconv.ParseUint(string(arg[:n]), 10, 64)
	if err != nil {
		return 0, false, "BDAT chunk-size too large"
	}
	if len(rest) > 0 {
		if last = folded(rest, " LAST"); !last {
			return 0, false, "BDAT chunk-size followed by junk"
		}
	}
	return size, last, ""
}

// chunk takes bytes of the chunk at hand and returns what is behind it.
func (a *smtp) chunk(data []byte, orig bool) (behind []byte) {
	b := &a.bdat
	n := int(min(b.left, uint64(len(data))))
	if n > 0 {
		a.chunkBytes(data[:n])
	}
	if b.last && b.left == 0 {
		a.commandChanges(cmdEndOfData, orig)
	}
	return data[n:]
}

// chunkBytes finds the lines of the mail. As in Zeek only CR LF ends a line; what
// ends in LF alone, or is too long, is a piece of one. A CR alone is part of the
// line, also where a segment ends behind it: there Zeek reports
// smtp_bdat_line_cr_only, and smtp_bdat_line_too_long for a line that would be
// whole with the LF.
func (a *smtp) chunkBytes(data []byte) {
	b, s := &a.bdat, a.s
	all, from := data, 0
	if len(b.rest) > 0 {
		s.chunk = append(append(s.chunk[:0], b.rest...), data...)
		all, from = s.chunk, len(b.rest)-1
	}
	start, over := 0, b.last && b.left == uint64(len(data))
	for i := from; i < len(all); i++ {
		switch c := all[i]; {
		case c == '\r' && i+1 < len(all) && all[i+1] == '\n':
			a.mail.Line(a.c, all[start:i], true)
			i++
			start = i + 1
		case c == '\n':
			a.c.Weird("smtp_bdat_line_lf_only", "", bdatSource)
			a.mail.Line(a.c, all[start:i+1], false)
			start = i + 1
		case i-start < s.cfg.BDATLine:
		case c == '\r' && i+1 == len(all) && !over: // a LF that is to come makes it a whole line
		default:
			a.chunkCut(all[start:i], len(all))
			start = i
		}
	}
	b.rest = append(b.rest[:0], all[start:]...)
	b.left -= uint64(len(data))
	if cap(s.chunk) > keepChunk {
		s.chunk = nil
	}
	if b.last && b.left == 0 && len(b.rest) > 0 {
		a.mail.Line(a.c, b.rest, false)
		b.rest = b.rest[:0]
	}
}

// chunkCut takes a piece of a line that is too long; Zeek reports how many bytes
// were there then.
func (a *smtp) chunkCut(piece []byte, there int) {
	a.c.Weird("smtp_bdat_line_too_long", strconv.Itoa(there), bdatSource)
	a.mail.Line(a.c, piece, false)
}

// keepChunk is the largest buffer that is kept.
const keepChunk = 128 << 10

// endBDAT ends the chunks. A line that has begun is delivered.
func (a *smtp) endBDAT() {
	b := &a.bdat
	b.on = false
	if n := a.s.cfg.BDATLine; len(b.rest) > n && a.mail.Open() { // the CR's LF did not come
		a.chunkCut(b.rest[:n], len(b.rest))
		b.rest = b.rest[:copy(b.rest, b.rest[n:])]
	}
	if len(b.rest) > 0 {
		a.c.Weird("smtp_bdat_undelivered_at_done", "", bdatSource)
		if a.mail.Open() {
			a.mail.Line(a.c, b.rest, false)
		}
		b.rest = b.rest[:0]
	}
	b.left, b.last = 0, false
}
