package inflate

// block reads what kind of block is next.
func (r *reader) block() (ok, good bool) {
	d := r.d
	if d.last {
		if !d.wrapped {
			// Whole bytes that were taken too early belong to what follows.
			r.drop(d.bits & 7)
			back := min(int(d.bits/8), r.at)
			r.at -= back
			d.hold, d.bits = 0, 0
			d.state = stDone
			return true, true
		}
		d.state, d.at = stSum, 0
		return true, true
	}
	if !r.want(3) {
		return false, true
	}
	d.last = r.low(1) == 1
	kind := r.low(3) >> 1
	r.drop(3)
	switch kind {
	case 0:
		r.drop(d.bits & 7)
		d.state = stStoredLen
	case 1:
		f := fixed()
		d.lit, d.off, d.state = &f[0], &f[1], stSymbol
	case 2:
		d.state = stCounts
	default:
		return false, false
	}
	return true, true
}

func (r *reader) storedLen() (ok, good bool) {
	d := r.d
	if !r.want(32) {
		return false, true
	}
	n := r.low(16)
	if n != ^r.low(32)>>16&0xffff {
		return false, false
	}
	r.drop(32)
	d.need, d.state = n, stStored
	return true, true
}

// stored copies bytes that are not packed.
func (r *reader) stored() (ok bool) {
	d := r.d
	for d.need > 0 {
		if d.pos >= r.end {
			return false
		}
		if d.bits >= 8 {
			d.buf[d.pos] = byte(r.low(8))
			r.drop(8)
			d.pos++
			d.need--
			continue
		}
		n := copy(d.buf[d.pos:r.end], r.in[r.at:min(len(r.in), r.at+d.need)])
		if n == 0 {
			return false
		}
		r.at += n
		d.pos += n
		d.need -= n
	}
	d.state = stBlock
	return true
}

func (r *reader) counts() (ok, good bool) {
	d := r.d
	if !r.want(14) {
		return false, true
	}
	d.nlen, d.ndist, d.ncode = r.low(5)+257, r.low(10)>>5+1, r.low(14)>>10+4
	r.drop(14)
	if d.nlen > 286 || d.ndist > 30 {
		return false, false
	}
	clear(d.lens[:19])
	d.at, d.state = 0, stCodeLens
	return true, true
}

// codeOrder is the order of the lengths of the codes for lengths.
var codeOrder = [19]byte{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (r *reader) codeLens() (ok, good bool) {
	d := r.d
	for d.at < d.ncode {
		if !r.want(3) {
			return false, true
		}
		d.lens[codeOrder[d.at]] = byte(r.low(3))
		r.drop(3)
		d.at++
	}
	d.lit, d.off = &d.ownLit, &d.ownOff
	if !d.lit.build(d.lens[:19], 7, plainSymbols) {
		return false, false
	}
	d.at, d.state = 0, stLens
	return true, true
}

// codes reads the lengths of the codes of a block.
func (r *reader) codes() (ok, good bool) {
	d := r.d
	n := d.nlen + d.ndist
	for d.at < n {
		e, found := r.code(d.lit)
		if !found {
			return false, true
		}
		length, sym := uint(e&lenMask), int(e>>valueShift)
		if e&kindMask == kindBad {
			return false, false
		}
		if sym < 16 {
			r.drop(length)
			d.lens[d.at] = byte(sym)
			d.at++
			continue
		}
		extra, base := uint(2), 3
		switch sym {
		case 17:
			extra = 3
		case 18:
			extra, base = 7, 11
		}
		if !r.want(length + extra) {
			return false, true
		}
		repeat := base + r.low(length+extra)>>length
		var what byte
		if sym == 16 {
			if d.at == 0 {
				return false, false
			}
			what = d.lens[d.at-1]
		}
		if d.at+repeat > n {
			return false, false
		}
		r.drop(length + extra)
		for ; repeat > 0; repeat-- {
			d.lens[d.at] = what
			d.at++
		}
	}
	if d.lens[256] == 0 {
		return false, false // no end of block
	}
	if !d.off.build(d.lens[d.nlen:n], offBits, offSymbols) || !d.lit.build(d.lens[:d.nlen], litBits, litSymbols) {
		return false, false
	}
	d.state = stSymbol
	return true, true
}

// code looks a code up without consuming it.
func (r *reader) code(t *table) (e entry, found bool) {
	d := r.d
	for {
		e = t.root[d.hold&t.mask]
		if e&kindMask == kindLink {
			if d.bits > uint(t.bits) {
				e = t.sub[uint64(e>>valueShift)+d.hold>>t.bits&(1<<(e&lenMask)-1)]
			} else {
				e = lenMask // not enough bits to tell
			}
		}
		if uint(e&lenMask) <= d.bits {
			return e, true
		}
		if r.at >= len(r.in) {
			return 0, false
		}
		d.hold |= uint64(r.in[r.at]) << d.bits
		r.at++
		d.bits += 8
	}
}

// symbols unpacks literals and copies.
func (r *reader) symbols() (ok, good bool) {
	d := r.d
	for {
		if d.state == stCopy {
			n := min(d.length, r.end-d.pos)
			d.copy(n)
			if d.length -= n; d.length > 0 {
				return false, true
			}
			d.state = stSymbol
		}
		if d.pos >= r.end {
			return false, true
		}
		if r.at+8 <= len(r.in) && d.pos+258 <= r.end && r.fast() {
			return false, false
		}
		if d.state != stSymbol {
			return true, true
		}
		if d.pos >= r.end {
			return false, true
		}
		e, found := r.code(d.lit)
		if !found {
			return false, true
		}
		switch e & kindMask {
		case kindLiteral:
			r.drop(uint(e & lenMask))
			d.buf[d.pos] = byte(e >> valueShift)
			d.pos++
			continue
		case kindEnd:
			r.drop(uint(e & lenMask))
			d.state = stBlock
			return true, true
		case kindBad:
			return false, false
		}
		// A copy: length and distance are consumed together, so that nothing need
		// be remembered in between.
		if done, good := r.pair(e); !good || !done {
			return false, good
		}
		d.state = stCopy
	}
}

// pair reads the extra bits of a length, then a distance. Until all bits are
// there nothing is consumed.
func (r *reader) pair(e entry) (done, good bool) {
	d := r.d
	used, extra := uint(e&lenMask), uint(e>>extraShift&extraMask)
	if !r.want(used + extra) {
		return false, true
	}
	length := int(e>>valueShift) + int(d.hold>>used&(1<<extra-1))
	used += extra
	for {
		hold := d.hold >> used
		have := d.bits - used
		o := d.off.root[hold&d.off.mask]
		if o&kindMask == kindLink {
			if have > uint(d.off.bits) {
				o = d.off.sub[uint64(o>>valueShift)+hold>>d.off.bits&(1<<(o&lenMask)-1)]
			} else {
				o = lenMask
			}
		}
		if n := uint(o & lenMask); n <= have {
			if o&kindMask == kindBad {
				return false, false
			}
			more := uint(o >> extraShift & extraMask)
			if n+more <= have {
				dist := int(o>>valueShift) + int(hold>>n&(1<<more-1))
				if dist > d.have() {
					return false, false
				}
				r.drop(used + n + more)
				d.length, d.dist = length, dist
				return true, true
			}
		}
		if r.at >= len(r.in) {
			return false, true
		}
		d.hold |= uint64(r.in[r.at]) << d.bits
		r.at++
		d.bits += 8
	}
}

// have is how far back a copy may reach.
func (d *Decoder) have() int { return min(d.pos, window) }

// copy repeats n bytes from the distance at hand.
func (d *Decoder) copy(n int) {
	from := d.pos - d.dist
	if d.dist >= n {
		copy(d.buf[d.pos:d.pos+n], d.buf[from:from+n])
	} else {
		for i := range n {
			d.buf[d.pos+i] = d.buf[from+i]
		}
	}
	d.pos += n
}

// fast unpacks while there is plenty of input and room: one refill per symbol,
// no looking at ends. It reports a mistake.
func (r *reader) fast() (bad bool) {
	d := r.d
	in, at, pos := r.in, r.at, d.pos
	hold, bits := d.hold, d.bits
	lit, off := d.lit, d.off
	litMask, offMask := lit.mask, off.mask
	defer func() {
		// Whole bytes that were loaded and not used go back.
		back := bits / 8
		if uint(at-r.at) < back {
			back = uint(at - r.at)
		}
		at -= int(back)
		bits -= back * 8
		hold &= 1<<bits - 1
		r.at, d.pos, d.hold, d.bits = at, pos, hold, bits
	}()
	for at+8 <= len(in) && pos+258 <= r.end {
		// 64 bits at once; those that do not fit are loaded again later.
		hold |= le64(in[at:]) << bits
		at += int((63 - bits) >> 3)
		bits |= 56
		e := lit.root[hold&litMask]
		if e&kindMask == kindLink {
			e = lit.sub[uint64(e>>valueShift)+hold>>lit.bits&(1<<(e&lenMask)-1)]
		}
		n := uint(e & lenMask)
		if e&kindMask == kindLiteral {
			hold >>= n
			bits -= n
			d.buf[pos] = byte(e >> valueShift)
			pos++
			// A second one is often there: at least 41 bits are left.
			e = lit.root[hold&litMask]
			if e&kindMask != kindLiteral {
				continue
			}
			n = uint(e & lenMask)
			hold >>= n
			bits -= n
			d.buf[pos] = byte(e >> valueShift)
			pos++
			continue
		}
		if e&kindMask != kindLength {
			if e&kindMask == kindEnd {
				hold >>= n
				bits -= n
				d.state = stBlock
				return false
			}
			return true
		}
		extra := uint(e >> extraShift & extraMask)
		h := hold >> n
		length := int(e>>valueShift) + int(h&(1<<extra-1))
		h >>= extra
		used := n + extra
		o := off.root[h&offMask]
		if o&kindMask == kindLink {
			o = off.sub[uint64(o>>valueShift)+h>>off.bits&(1<<(o&lenMask)-1)]
		}
		if o&kindMask == kindBad {
			return true
		}
		n = uint(o & lenMask)
		extra = uint(o >> extraShift & extraMask)
		dist := int(o>>valueShift) + int(h>>n&(1<<extra-1))
		used += n + extra // 48 at most
		hold >>= used
		bits -= used
		if dist > min(pos, window) {
			return true
		}
		from := pos - dist
		if dist >= length {
			copy(d.buf[pos:pos+length], d.buf[from:from+length])
		} else if dist == 1 {
			c := d.buf[from]
			run := d.buf[pos : pos+length]
			for i := range run {
				run[i] = c
			}
		} else {
			for i := range length {
				d.buf[pos+i] = d.buf[from+i]
			}
		}
		pos += length
	}
	return false
}

func le64(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}
