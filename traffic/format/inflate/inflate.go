// Package inflate unpacks deflate data that come in pieces: gzip, zlib, or bare.
//
// It stands below the analyzer of HTTP, which feeds it the pieces of a body as
// they arrive and is called back with what they unpack to. It owns the window of
// the last 32 KiB and the tables of the block at hand, about 60 KiB for each
// stream that is open, and nothing else: where the pieces are cut makes no
// difference, no goroutine waits for more. The standard library reads from an
// io.Reader and cannot stop in the middle of a symbol.
//
// What counts as a mistake follows zlib. Sources: RFC 1950, 1951, 1952.
package inflate

import "hash/crc32"

// Format is what stands around the deflate data.
type Format uint8

// Formats.
const (
	Auto Format = iota // gzip or zlib, told by the first bytes
	Raw                // nothing
)

// Status is how far a Decoder is.
type Status uint8

// Statuses.
const (
	More    Status = iota // all input was taken; more may come
	End                   // the end was reached; input behind it was not taken
	Corrupt               // the input is not what it should be
)

// Step is how many bytes are unpacked at a time.
const Step = 4096

const (
	window = 32 << 10
	room   = 48 << 10 // for the window and what is unpacked behind it
)

// Decoder unpacks one stream. Reset makes it ready.
type Decoder struct {
	state   state
	format  Format
	gzip    bool
	flags   byte // of the gzip header
	last    bool // the block at hand is the last one
	hold    uint64
	bits    uint // how many bits hold has
	need    int  // bytes still to come of a part with a length
	at      int  // place in a part
	sum     uint32
	size    uint32
	wrapped bool // there is a sum at the end
	headBad bool // the mistake is in what stands in front of the data

	length, dist int // of the copy at hand
	nlen, ndist  int // how many codes a block brings
	ncode        int
	lens         [320]byte // their lengths
	lit, off     *table    // codes of the block at hand
	ownLit       table
	ownOff       table
	pos          int // where the next byte goes
	buf          [room]byte
}

type state uint8

const (
	stMagic state = iota
	stGzip        // the rest of a gzip header's fixed part
	stExtraLen
	stExtra
	stName
	stComment
	stHeadSum
	stBlock
	stStoredLen
	stStored
	stCounts
	stCodeLens
	stLens
	stSymbol
	stCopy
	stSum
	stDone
	stBad
)

// Reset makes the Decoder ready for a stream.
func (d *Decoder) Reset(f Format) {
	d.state, d.format = stMagic, f
	if f == Raw {
		d.state = stBlock
	}
	d.gzip, d.wrapped, d.last, d.headBad = false, false, false, false
	d.hold, d.bits, d.pos, d.at, d.size, d.sum, d.length = 0, 0, 0, 0, 0, 0, 0
}

// HeadBad reports whether corrupt input is so in its first four bytes: that it is
// neither gzip nor zlib.
func (d *Decoder) HeadBad() bool { return d.headBad }

// Next takes input until Step bytes are unpacked, the input is used up, or there
// is nothing more to be had. out is valid until the next call; if the input is
// corrupt it is what could be unpacked before the mistake.
func (d *Decoder) Next(in []byte) (out []byte, taken int, s Status) {
	if d.pos+Step > room {
		d.pos = copy(d.buf[:], d.buf[d.pos-window:d.pos])
	}
	start := d.pos
	r := reader{d: d, in: in, end: start + Step}
	if s = r.run(); s == Corrupt {
		d.headBad = d.headBad || d.state < stBlock
		d.state = stBad
	}
	return d.buf[start:d.pos], r.at, s
}

// reader is one call of Next.
type reader struct {
	d   *Decoder
	in  []byte
	at  int
	end int // where unpacking stops
	cks int // up to where the sum was worked out
}

// want makes sure that there are n bits in hold.
func (r *reader) want(n uint) bool {
	d := r.d
	for d.bits < n {
		if r.at >= len(r.in) {
			return false
		}
		d.hold |= uint64(r.in[r.at]) << d.bits
		r.at++
		d.bits += 8
	}
	return true
}

func (r *reader) drop(n uint) {
	r.d.hold >>= n
	r.d.bits -= n
}

func (r *reader) low(n uint) int { return int(r.d.hold & (1<<n - 1)) }

// run moves from state to state until input or room is used up.
func (r *reader) run() Status {
	d := r.d
	r.cks = d.pos
	defer r.check()
	for {
		var ok, good bool
		switch d.state {
		case stDone:
			return End
		case stBad:
			return Corrupt
		case stMagic, stGzip, stExtraLen, stExtra, stName, stComment, stHeadSum:
			ok, good = r.header()
		case stBlock:
			ok, good = r.block()
		case stStoredLen:
			ok, good = r.storedLen()
		case stStored:
			ok, good = r.stored(), true
		case stCounts:
			ok, good = r.counts()
		case stCodeLens:
			ok, good = r.codeLens()
		case stLens:
			ok, good = r.codes()
		case stSymbol, stCopy:
			ok, good = r.symbols()
		case stSum:
			ok, good = r.trailer()
		}
		if !good {
			return Corrupt
		}
		if !ok {
			return More
		}
	}
}

// check brings the sum up to date.
func (r *reader) check() {
	d := r.d
	if !d.wrapped || r.cks == d.pos {
		return
	}
	fresh := d.buf[r.cks:d.pos]
	d.size += uint32(len(fresh))
	if d.gzip {
		d.sum = crc32.Update(d.sum, crc32.IEEETable, fresh)
	} else {
		d.sum = adler(d.sum, fresh)
	}
	r.cks = d.pos
}

// adler continues an Adler-32 sum.
func adler(sum uint32, p []byte) uint32 {
	const mod = 65521
	s1, s2 := sum&0xffff, sum>>16
	for len(p) > 0 {
		n := min(len(p), 5552) // s2 cannot overflow before
		for _, c := range p[:n] {
			s1 += uint32(c)
			s2 += s1
		}
		s1, s2 = s1%mod, s2%mod
		p = p[n:]
	}
	return s2<<16 | s1
}

// trailer compares the sum.
func (r *reader) trailer() (ok, good bool) {
	d := r.d
	r.check()
	if d.at == 0 {
		r.drop(d.bits & 7)
		d.at = 1
	}
	if d.at == 1 {
		if !r.want(32) {
			return false, true
		}
		sum := uint32(r.low(32))
		r.drop(32)
		if !d.gzip {
			sum = sum<<24 | sum>>24 | sum<<8&0xff0000 | sum>>8&0xff00
		}
		if sum != d.sum {
			return false, false
		}
		d.at = 2
	}
	if d.gzip {
		if !r.want(32) {
			return false, true
		}
		if uint32(r.low(32)) != d.size {
			return false, false
		}
		r.drop(32)
	}
	d.at = 0
	d.state = stDone
	return true, true
}
