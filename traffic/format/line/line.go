// Package line splits a stream into lines.
//
// It stands between an analyzer of a text protocol (HTTP, SMTP, FTP, IRC, POP3)
// and the bytes flow gives it: the analyzer feeds one Splitter per direction and
// is called back with whole lines. It owns the beginning of the line at hand,
// bounded per line and, with a Budget, over all connections of a worker; lines
// that lie in one piece are not copied. It knows nothing of what lines mean.
//
// What ends a line, which weirds there are and when they are said is as in
// Zeek's content line analyzer: CR LF, CR or LF alone, or CR LF only.
package line

import "bytes"

// Sink takes what a Splitter finds; the analyzer implements it. What it is given
// is borrowed. It may change the Splitter that calls.
type Sink interface {
	// Line takes a line without its end.
	Line(line []byte)
	// Plain takes bytes that were asked for with Plain, as they come.
	Plain(data []byte)
	// Weird reports something odd about lines.
	Weird(name string)
}

// MaxLine is the longest line, unless a Splitter is told otherwise.
const MaxLine = 16<<20 - 100

// Budget bounds the memory of all lines of a worker that have begun and not
// ended. Lines that would go beyond it are cut, and counted. One goroutine.
type Budget struct {
	Limit int    // bytes; 0: no limit
	Used  int    // bytes now
	Shed  uint64 // lines cut
}

// What a Splitter keeps between lines, and what the Budget does not count of it.
const free = 1024

// Once remembers what is said only once per connection; both directions share
// it. Zero is ready.
type Once struct{ cr, lf, nul bool }

// Splitter splits one direction. The zero Splitter, with Once set, is ready.
type Splitter struct {
	Once   *Once
	Budget *Budget // nil: none
	Max    int     // longest line; 0: MaxLine
	NUL    bool    // report a NUL in a line, once

	buf    []byte // the line so far
	plain  int64  // bytes that are still to be handed over as they are
	size   int64  // if sized: bytes until what the lines belong to is over
	sized  bool
	due    bool // it is over, and a line is not
	last   byte // the byte before
	crEnd  bool // it was a CR that ended a line: a LF behind it is of that end
	pastLF bool // the size was set then, and the LF is not of it
	strict bool // only CR LF ends lines
	quiet  bool
	skip   bool
	rest   int // bytes behind what is being handed over
}

// Reset makes the Splitter new; Once, Budget, Max and NUL stay.
func (s *Splitter) Reset() {
	s.shrink()
	*s = Splitter{Once: s.Once, Budget: s.Budget, Max: s.Max, NUL: s.NUL, buf: s.buf}
}

// shrink gives large buffers back.
func (s *Splitter) shrink() {
	if n := cap(s.buf); n > free {
		if s.Budget != nil {
			s.Budget.Used -= n - free
		}
		s.buf = nil
	}
	s.buf = s.buf[:0]
}

// Plain hands the next n bytes over as they are. 0: lines again.
func (s *Splitter) Plain(n int64) { s.plain = max(n, 0) }

// Size says that n bytes from here on are the whole of something, so that a line
// that has begun then may end without its end: see Due. Below 0: it is not known.
func (s *Splitter) Size(n int64) { s.size, s.sized, s.pastLF = n, n >= 0, s.crEnd }

// Strict says that only CR LF ends a line.
func (s *Splitter) Strict(on bool) { s.strict = on }

// Quiet says that weirds are not wanted.
func (s *Splitter) Quiet(on bool) { s.quiet = on }

// Skip ends the splitting: everything is dropped from here on.
func (s *Splitter) Skip() {
	s.skip = true
	s.shrink()
}

// Rest is how many bytes of those being fed lie behind the line or bytes that
// the Sink is called with.
func (s *Splitter) Rest() int { return s.rest }

// PlainRest hands those over as they are: they are another protocol's. Bytes fed
// later are lines, if they are fed.
func (s *Splitter) PlainRest() {
	if s.rest > 0 {
		s.plain = int64(s.rest)
	}
}

// TakeLF drops the LF that data begins with if the CR before it has ended a line:
// for those who take the bytes behind a line themselves.
func (s *Splitter) TakeLF(data []byte) []byte {
	if len(data) > 0 {
		if s.crEnd && data[0] == '\n' {
			data = data[1:]
		}
		s.crEnd = false
	}
	return data
}

// Due ends the line at hand if the size says that it is over. Call it when
// something else happens than more bytes of this direction: if those come, the
// size was wrong.
func (s *Splitter) Due(to Sink) {
	if !s.due {
		return
	}
	s.due = false
	to.Weird("line_terminated_without_CRLF")
	s.last = '\n'
	s.emit(s.buf, to)
}

// Feed takes the next bytes.
func (s *Splitter) Feed(data []byte, to Sink) {
	s.due = s.due && len(data) == 0
	p := pass{s: s, to: to, data: data, cr: -1, lf: -1}
	for p.at < len(data) && !s.skip {
		past, cr := s.pastLF, s.crEnd
		s.pastLF, s.crEnd = false, false
		switch c := data[p.at]; {
		case cr && c == '\n':
			s.last = '\n'
			if past {
				s.size++
			}
			p.take(1)
		case s.plain > 0:
			p.plain()
		default:
			p.line()
		}
	}
	if s.sized && s.size <= 0 {
		s.due = s.size == 0 && len(s.buf) > 0
		s.sized = false
	}
}

// End says that no more will come: a line that has begun ends, unless only CR LF
// may end lines.
func (s *Splitter) End(to Sink) {
	if len(s.buf) > 0 {
		s.Feed([]byte{'\n'}, to)
	}
}

func (s *Splitter) limit() int {
	if s.Max > 0 {
		return s.Max
	}
	return MaxLine
}

// emit hands over a line, which may lie in buf.
func (s *Splitter) emit(line []byte, to Sink) {
	to.Line(line)
	s.buf = s.buf[:0]
	if cap(s.buf) > free {
		s.shrink()
	}
}

// keep adds to the line at hand. It reports false if the Budget forbids that.
func (s *Splitter) keep(data []byte) bool {
	need := len(s.buf) + len(data)
	if need > cap(s.buf) {
		size := max(need, min(2*cap(s.buf), s.limit()), 128)
		if s.Budget != nil {
			more := max(size-free, 0) - max(cap(s.buf)-free, 0)
			if s.Budget.Limit > 0 && more > 0 && s.Budget.Used+more > s.Budget.Limit {
				s.Budget.Shed++
				return false
			}
			s.Budget.Used += more
		}
		buf := make([]byte, len(s.buf), size)
		copy(buf, s.buf)
		s.buf = buf
	}
	s.buf = append(s.buf, data...)
	return true
}

// say reports what is said once per connection.
func (s *Splitter) say(said *bool, name string, to Sink) {
	if !s.quiet && !*said {
		*said = true
		to.Weird(name)
	}
}

// pass is one call of Feed.
type pass struct {
	s      *Splitter
	to     Sink
	data   []byte
	at     int // from where
	cr, lf int // the next ones at or behind at, as far as they were looked for
}

// take consumes n bytes.
func (p *pass) take(n int) {
	p.at += n
	p.s.rest = len(p.data) - p.at
	if p.s.sized {
		p.s.size -= int64(n)
	}
}

func (p *pass) plain() {
	s := p.s
	n := int(min(s.plain, int64(len(p.data)-p.at)))
	s.last = 0
	s.plain -= int64(n)
	chunk := p.data[p.at : p.at+n]
	p.take(n)
	p.to.Plain(chunk)
}

// line takes bytes up to the end of the line at hand, or all.
func (p *pass) line() {
	s, at := p.s, p.at
	if s.last == '\r' && p.data[at] != '\r' && p.data[at] != '\n' {
		s.say(&s.Once.cr, "line_terminated_with_single_CR", p.to)
	}
	end, n := p.find()
	if s.NUL {
		if i := bytes.IndexByte(p.data[at:end], 0); i >= 0 {
			s.NUL = false // the first one is left out
			s.say(&s.Once.nul, "NUL_in_line", p.to)
			end, n = at+i, -1
		}
	}
	if room := s.limit() - len(s.buf); end-at > room || end-at == room && n > 0 {
		p.tooLong(room)
		return
	}
	line := p.data[at:end]
	switch {
	case n > 0 && len(s.buf) == 0: // all of it lies here
		s.last = p.data[end+n-1]
		s.crEnd = s.last == '\r'
		p.take(end + n - at)
		s.emit(line, p.to)
		return
	case !s.keep(line):
		p.to.Weird("contentline_size_exceeded")
		s.last = 0
		p.take(end + max(n, 0) - at)
		s.emit(s.buf, p.to)
		return
	case n < 0: // a NUL
		p.take(end + 1 - at)
		s.last = 0
	case n == 0:
		s.last = p.data[end-1]
		p.take(end - at)
	default:
		if s.strict && at == end && n == 1 { // the CR came earlier
			s.buf = s.buf[:len(s.buf)-1]
		}
		s.last = p.data[end+n-1]
		s.crEnd = s.last == '\r'
		p.take(end + n - at)
		s.emit(s.buf, p.to)
	}
}

// tooLong cuts a line at its limit. As in Zeek, the byte before the limit and
// the one behind it are lost.
func (p *pass) tooLong(room int) {
	s := p.s
	p.to.Weird("contentline_size_exceeded")
	s.last = p.data[p.at+room]
	s.crEnd = s.last == '\r' && !s.strict
	kept := s.keep(p.data[p.at : p.at+room])
	p.take(room + 1)
	line := s.buf
	if kept {
		line = line[:len(line)-1]
	}
	s.emit(line, p.to)
}

// find returns where the line at hand ends and how many bytes its end has; 0:
// it is not there yet.
func (p *pass) find() (end, n int) {
	if p.s.strict {
		return p.findStrict()
	}
	p.cr = p.next(p.cr, '\r')
	p.lf = p.next(p.lf, '\n')
	switch end = min(p.cr, p.lf); {
	case end == len(p.data):
		return end, 0
	case end+1 == p.lf && p.lf < len(p.data):
		return end, 2
	}
	return end, 1
}

// next returns where c is next, len(data) if nowhere. known is what was found
// before: each byte is looked at once, however many lines there are.
func (p *pass) next(known int, c byte) int {
	if known >= p.at {
		return known
	}
	if i := bytes.IndexByte(p.data[p.at:], c); i >= 0 {
		return p.at + i
	}
	return len(p.data)
}

func (p *pass) findStrict() (end, n int) {
	s := p.s
	for from := p.at; ; {
		i := bytes.IndexByte(p.data[from:], '\n')
		lf := len(p.data)
		if i >= 0 {
			lf = from + i
		}
		if !s.quiet && !s.Once.cr {
			p.lonelyCR(from, lf)
		}
		switch {
		case i < 0:
			return lf, 0
		case lf > p.at && p.data[lf-1] == '\r':
			return lf - 1, 2
		case lf == p.at && s.last == '\r' && len(s.buf) > 0:
			return p.at, 1
		}
		s.say(&s.Once.lf, "line_terminated_with_single_LF", p.to)
		from = lf + 1
	}
}

// lonelyCR reports a CR that something else than LF follows.
func (p *pass) lonelyCR(from, to int) {
	for {
		i := bytes.IndexByte(p.data[from:to], '\r')
		if i < 0 {
			return
		}
		from += i + 1
		if from < len(p.data) && p.data[from] != '\n' && !bytes.HasPrefix(p.data[from:], []byte("\r\n")) {
			p.s.say(&p.s.Once.cr, "line_terminated_with_single_CR", p.to)
			return
		}
	}
}
