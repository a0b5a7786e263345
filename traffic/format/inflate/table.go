package inflate

import (
	"math/bits"
	"sync"
)

// entry says what a code means: how many bits it has, what kind of symbol it is,
// its value, and how many extra bits follow. A link leads to a table for the
// bits behind the first ones.
type entry uint32

const (
	lenMask    = 0xf // bits of the code; of a link: bits that choose from its table
	kindMask   = 7 << 4
	extraShift = 7
	extraMask  = 0xf
	valueShift = 16
)

// Kinds of entries.
const (
	kindLiteral entry = iota << 4
	kindLength        // or distance
	kindEnd
	kindLink
	kindBad // no code begins like this
)

const (
	litBits = 10
	offBits = 8
)

// table finds symbols by their codes.
type table struct {
	bits uint8
	mask uint64
	root [1 << litBits]entry
	sub  []entry
}

// symbols makes the entry of a symbol, without its length.
type symbols func(sym int) entry

func plainSymbols(sym int) entry { return entry(sym) << valueShift }

// litSymbols: literals, the end, and lengths (RFC 1951, 3.2.5).
func litSymbols(sym int) entry {
	switch {
	case sym < 256:
		return entry(sym) << valueShift
	case sym == 256:
		return kindEnd
	case sym < 265:
		return kindLength | entry(sym-257+3)<<valueShift
	case sym < 285:
		extra := (sym - 261) / 4
		base := (4+(sym-265)%4)<<extra + 3
		return kindLength | entry(base)<<valueShift | entry(extra)<<extraShift
	case sym == 285:
		return kindLength | 258<<valueShift
	}
	return kindBad
}

// offSymbols: distances.
func offSymbols(sym int) entry {
	switch {
	case sym < 4:
		return kindLength | entry(sym+1)<<valueShift
	case sym < 30:
		extra := sym/2 - 1
		base := (2+sym%2)<<extra + 1
		return kindLength | entry(base)<<valueShift | entry(extra)<<extraShift
	}
	return kindBad
}

// build makes the table of codes with the given lengths. It reports false if the
// lengths are none of a code: too many of one, or too few. A code of one symbol
// only may be incomplete, and there may be no distances at all.
func (t *table) build(lens []byte, root uint8, meaning symbols) bool {
	var count [16]int
	for _, l := range lens {
		count[l]++
	}
	longest := 15
	for longest > 0 && count[longest] == 0 {
		longest--
	}
	t.bits, t.mask, t.sub = root, 1<<root-1, t.sub[:0]
	if longest == 0 {
		for i := range t.root[:1<<root] {
			t.root[i] = kindBad | 1
		}
		return root != 7
	}
	left := 1
	for l := 1; l <= 15; l++ {
		if left = left<<1 - count[l]; left < 0 {
			return false
		}
	}
	if left > 0 && (root == 7 || longest != 1) {
		return false
	}
	var next [16]int
	code := 0
	for l := 1; l <= 15; l++ {
		code = (code + count[l-1]*b2i(l > 1)) << 1
		next[l] = code
	}
	for i := range t.root[:1<<root] {
		t.root[i] = kindBad | 1
	}
	t.links(lens, next, longest)
	for sym, l := range lens {
		if l == 0 {
			continue
		}
		rev := reversed(next[l], int(l))
		next[l]++
		e := meaning(sym) | entry(l)
		if l <= root {
			for i := rev; i < 1<<root; i += 1 << l {
				t.root[i] = e
			}
			continue
		}
		link := t.root[rev&int(t.mask)]
		base, width := int(link>>valueShift), int(link&lenMask)
		for i := rev >> root; i < 1<<width; i += 1 << (l - root) {
			t.sub[base+i] = e
		}
	}
	return true
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// links makes room for the codes that are longer than the root: for each of
// their beginnings as much as the longest of them needs.
func (t *table) links(lens []byte, next [16]int, longest int) {
	root := int(t.bits)
	if longest <= root {
		return
	}
	var width [1 << litBits]uint8
	for _, l := range lens {
		if int(l) <= root {
			continue
		}
		rev := reversed(next[l], int(l)) & int(t.mask)
		next[l]++
		width[rev] = max(width[rev], l-t.bits)
	}
	for i, w := range width[:1<<root] {
		if w == 0 {
			continue
		}
		t.root[i] = kindLink | entry(len(t.sub))<<valueShift | entry(w)
		for range 1 << w {
			t.sub = append(t.sub, kindBad|1)
		}
	}
}

// reversed turns a code of n bits round: streams have its first bit lowest.
func reversed(code, n int) int { return int(bits.Reverse16(uint16(code)) >> (16 - n)) }

// fixed returns the codes of blocks that bring none.
var fixed = sync.OnceValue(func() *[2]table {
	var t [2]table
	var l [288]byte
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		default:
			l[i] = 8
		}
	}
	t[0].build(l[:], litBits, litSymbols)
	for i := range 32 {
		l[i] = 5
	}
	t[1].build(l[:32], offBits, offSymbols)
	return &t
})
