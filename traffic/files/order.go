package files

import (
	"math"
	"slices"
	"sort"
)

// order puts the pieces of a file in order that came out of it (parts asked for
// with ranges). at is the next byte to deliver; trimmed is where old bytes end.
type order struct {
	at, trimmed uint64
	blocks      []block
	held        int // bytes in blocks
	flushing    bool
}

// maxBlocks is how many pieces of one file may wait.
const maxBlocks = 1 << 12

// blockCost is what a piece takes besides its bytes; the limit of all files counts
// it, or pieces of one byte would take many times what it allows.
const blockCost = 48

// block is a run of bytes that came before its time.
type block struct {
	from uint64
	data []byte
}

func (b *block) to() uint64 { return b.from + uint64(len(b.data)) }

// newBlock takes bytes at an offset; where some came before, the first ones win.
func (f *File) newBlock(off uint64, data []byte) {
	o := f.order
	to := off + uint64(len(data))
	if len(data) == 0 || to <= o.trimmed {
		return
	}
	if off < o.trimmed {
		data, off = data[o.trimmed-off:], o.trimmed
	}
	first := -1
	i := sort.Search(len(o.blocks), func(i int) bool { return o.blocks[i].to() > off })
	for len(data) > 0 {
		for i < len(o.blocks) && o.blocks[i].to() <= off {
			i++
		}
		n := uint64(len(data))
		if i < len(o.blocks) {
			b := &o.blocks[i]
			if b.from <= off { // known until the end of b
				skip := min(b.to()-off, n)
				data, off = data[skip:], off+skip
				if first < 0 {
					first = i
				}
				continue
			}
			n = min(n, b.from-off)
		}
		if f.keep(i, off, data[:n]) && first < 0 {
			first = i
		}
		data, off = data[n:], off+n
	}
	if first >= 0 && first < len(o.blocks) {
		f.inserted(first)
	}
}

// keep stores a block at place i, if limits allow.
func (f *File) keep(i int, off uint64, data []byte) bool {
	o, t := f.order, f.t
	if len(o.blocks) >= maxBlocks || t.stats.ReassemblyBytes+len(data)+blockCost > t.cfg.ReassemblyTotal {
		t.stats.ShedBlocks++
		return false
	}
	o.held += len(data)
	t.stats.ReassemblyBytes += len(data) + blockCost
	o.blocks = slices.Insert(o.blocks, i, block{off, slices.Clone(data)})
	return true
}

// inserted delivers from block i on what comes next.
func (f *File) inserted(i int) {
	o := f.order
	if b := &o.blocks[i]; b.from > o.at || b.to() <= o.at {
		return
	}
	for ; i < len(o.blocks); i++ {
		b := &o.blocks[i]
		if b.from > o.at {
			break
		}
		if b.from == o.at {
			o.at = b.to()
			f.deliver(b.data)
		}
	}
	f.trim(o.at)
}

// flush gives up what is missing below the last block, delivers the rest, and
// returns how much was missing.
func (f *File) flush() uint64 {
	o := f.order
	if o.flushing || len(o.blocks) == 0 {
		return 0
	}
	o.flushing = true
	n := f.trim(o.blocks[len(o.blocks)-1].to())
	o.flushing = false
	return n
}

// flushTo does that for what is below an offset.
func (f *File) flushTo(off uint64) {
	o := f.order
	if o.flushing {
		return
	}
	o.flushing = true
	f.trim(off)
	o.flushing = false
	o.at = off
}

// trim forgets what is below an offset. What was not delivered of it is
// delivered now, with gaps. It returns how much was missing.
func (f *File) trim(to uint64) uint64 {
	o := f.order
	var missing uint64
	if len(o.blocks) > 0 {
		if from := o.blocks[0].from; from > o.at {
			missing += from - o.at
		}
	} else if to > o.at {
		missing += to - o.at
	}
	if to > o.at {
		f.undelivered(to)
	}
	n := 0
	for n < len(o.blocks) && o.blocks[n].to() <= to {
		b := &o.blocks[n]
		if n+1 < len(o.blocks) && o.blocks[n+1].from <= to {
			missing += o.blocks[n+1].from - b.to()
		} else if b.to() != to && b.to()+1 != to {
			missing += to - b.to()
		}
		o.held -= len(b.data)
		f.t.stats.ReassemblyBytes -= len(b.data) + blockCost
		n++
	}
	o.blocks = slices.Delete(o.blocks, 0, n)
	if len(o.blocks) > 0 && o.blocks[0].from == o.at {
		f.inserted(0)
	}
	o.trimmed = to
	return missing
}

// undelivered walks up to an offset: blocks are delivered, the rest are gaps.
func (f *File) undelivered(to uint64) {
	o := f.order
	for i := 0; i < len(o.blocks); {
		b := &o.blocks[i]
		if b.from < o.at {
			i++
			continue
		}
		if b.from >= to {
			break
		}
		from := o.at
		f.gap(from, b.from-from)
		o.at = o.blocks[i].from
		f.inserted(i)
		i = 0
	}
	if to > o.at && to < math.MaxUint64 {
		f.gap(o.at, to-o.at)
		o.at = to
	}
}
