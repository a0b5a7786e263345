package inflate

// Flags of a gzip header.
const (
	flagHeadSum = 1 << (iota + 1)
	flagExtra
	flagName
	flagComment
	flagsReserved = 0xe0
)

// header reads what stands in front of the deflate data.
func (r *reader) header() (ok, good bool) {
	d := r.d
	switch d.state {
	case stMagic:
		if !r.want(16) {
			return false, true
		}
		first, second := r.low(8), r.low(16)>>8
		r.drop(16)
		if first == 0x1f && second == 0x8b {
			d.gzip, d.wrapped, d.sum, d.size = true, true, 0, 0
			d.state, d.need = stGzip, 8
			return true, true
		}
		// zlib: deflate, a window of at most 32 KiB, no dictionary.
		if (first<<8|second)%31 != 0 || first&15 != 8 || first>>4 > 7 || second&0x20 != 0 {
			return false, false
		}
		d.wrapped, d.sum = true, 1
		d.state = stBlock
	case stGzip: // method, flags, time, two bytes that do not matter
		for d.need > 0 {
			if !r.want(8) {
				return false, true
			}
			c := byte(r.low(8))
			r.drop(8)
			switch d.need {
			case 8:
				if c != 8 {
					return false, false
				}
			case 7:
				if d.flags = c; c&flagsReserved != 0 {
					return false, false
				}
			}
			d.need--
		}
		d.state = stExtraLen
	case stExtraLen:
		if d.flags&flagExtra != 0 {
			if !r.want(16) {
				return false, true
			}
			d.need = r.low(16)
			r.drop(16)
		}
		d.state = stExtra
	case stExtra:
		for d.flags&flagExtra != 0 && d.need > 0 {
			if !r.want(8) {
				return false, true
			}
			r.drop(8)
			d.need--
		}
		d.state = stName
	case stName:
		if d.flags&flagName != 0 && !r.text() {
			return false, true
		}
		d.state = stComment
	case stComment:
		if d.flags&flagComment != 0 && !r.text() {
			return false, true
		}
		d.state = stHeadSum
	case stHeadSum:
		if d.flags&flagHeadSum != 0 {
			if !r.want(16) {
				return false, true
			}
			r.drop(16)
		}
		d.state = stBlock
	}
	return true, true
}

// text passes over a text that a NUL ends.
func (r *reader) text() bool {
	for r.want(8) {
		c := r.low(8)
		r.drop(8)
		if c == 0 {
			return true
		}
	}
	return false
}
