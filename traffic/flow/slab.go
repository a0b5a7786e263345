package flow

// chunk is how many values a slab allocates at once.
const chunk = 1 << 10

// slab hands out slots of T that never move. Slots are numbered from 1; 0 is
// none. Without pointers in T the garbage collector does not look inside. What is
// free here are numbers of places that exist anyway, and all of them are kept: that
// is not a freelist.List.
type slab[T any] struct {
	chunks []*[chunk]T
	free   []uint32
	used   uint32 // slots ever handed out
}

func (s *slab[T]) get(slot uint32) *T { return &s.chunks[slot/chunk][slot%chunk] }

// alloc returns a slot with what its last user left in it.
func (s *slab[T]) alloc() uint32 {
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return slot
	}
	s.used++
	if int(s.used/chunk) >= len(s.chunks) {
		s.chunks = append(s.chunks, new([chunk]T))
	}
	return s.used
}

func (s *slab[T]) release(slot uint32) { s.free = append(s.free, slot) }

// index is an open-addressing hash table from keys to slots of connections. A
// cell holds the key's hash (high half) and its slot (low half).
type index struct {
	cells []uint64
	n     int
}

const minIndex = 1 << 12

func (x *index) init() {
	x.cells = make([]uint64, minIndex)
	x.n = 0
}

// find returns the slot of a key, 0 if it has none.
func (x *index) find(conns *slab[conn], k *key, h uint32) uint32 {
	mask := uint32(len(x.cells) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		v := x.cells[i]
		if v == 0 {
			return 0
		}
		if uint32(v>>32) == h {
			if slot := uint32(v); conns.get(slot).key == *k {
				return slot
			}
		}
	}
}

func (x *index) insert(h, slot uint32) {
	if (x.n+1)*3 > len(x.cells)*2 {
		x.resize(len(x.cells) * 2)
	}
	x.put(uint64(h)<<32 | uint64(slot))
	x.n++
}

func (x *index) put(v uint64) {
	mask := uint32(len(x.cells) - 1)
	i := uint32(v>>32) & mask
	for x.cells[i] != 0 {
		i = (i + 1) & mask
	}
	x.cells[i] = v
}

func (x *index) resize(n int) {
	old := x.cells
	x.cells = make([]uint64, n)
	for _, v := range old {
		if v != 0 {
			x.put(v)
		}
	}
}

// remove takes a slot out and closes the hole, so that no search ends early.
func (x *index) remove(h, slot uint32) {
	mask := uint32(len(x.cells) - 1)
	i := h & mask
	for uint32(x.cells[i]) != slot {
		if x.cells[i] == 0 {
			return
		}
		i = (i + 1) & mask
	}
	x.n--
	for j := i; ; {
		j = (j + 1) & mask
		v := x.cells[j]
		if v == 0 {
			break
		}
		// v may move to i unless its home lies in (i, j].
		if home := uint32(v>>32) & mask; (j-home)&mask >= (j-i)&mask {
			x.cells[i] = v
			i = j
		}
	}
	x.cells[i] = 0
}
