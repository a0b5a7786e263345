package afpacket

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's counters (PACKET_STATISTICS) go back to zero when they are read.
// So that no death of a reader loses a count, they are kept in the ring itself,
// in the private area of the first block: the kernel writes what it counted
// straight into the ring, and adding it up is a step that can be done twice.
//
// The slot holds a generation g, two places for fresh counters and two sums.
// sums[g&1] is valid; fresh[g&1] is zero or read and not added yet.
const (
	slotGen   = blkPriv      // u32
	slotFresh = blkPriv + 8  // 2 x struct tpacket_stats_v3, 16 bytes apart
	slotSums  = blkPriv + 40 // 2 x 3 u64
	statsSize = 12
)

func (r ring) fresh(gen uint32, i int) *uint32 {
	return u32(r.mem, slotFresh+int(gen&1)*16+i*4)
}

func (r ring) sum(gen uint32, i int) *uint64 {
	return u64(r.mem, slotSums+int(gen&1)*24+i*8)
}

// settle reads the kernel's counters and adds them up. Only the reader of the
// ring calls it, or the owner of the socket while there is no reader.
func (r ring) settle(fd int) error {
	r.add() // what a reader that died has left
	gen := atomic.LoadUint32(u32(r.mem, slotGen))
	size := uint32(statsSize)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS,
		uintptr(unsafe.Pointer(r.fresh(gen, 0))), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	r.add()
	return nil
}

// add moves fresh counters into the sums. Dying anywhere in here changes
// nothing until the generation is stored, and then everything.
func (r ring) add() {
	gen := atomic.LoadUint32(u32(r.mem, slotGen))
	for i := 0; i < 3; i++ {
		atomic.StoreUint64(r.sum(gen+1, i), atomic.LoadUint64(r.sum(gen, i))+uint64(atomic.LoadUint32(r.fresh(gen, i))))
		atomic.StoreUint32(r.fresh(gen+1, i), 0)
	}
	atomic.StoreUint32(u32(r.mem, slotGen), gen+1)
}

// totals returns the sums; any process that has the ring mapped may call it.
func (r ring) totals() Totals {
	for {
		gen := atomic.LoadUint32(u32(r.mem, slotGen))
		t := Totals{
			Packets: atomic.LoadUint64(r.sum(gen, 0)),
			Dropped: atomic.LoadUint64(r.sum(gen, 1)),
			Freezes: atomic.LoadUint64(r.sum(gen, 2)),
		}
		// Two generations on, the sums have been overwritten.
		if atomic.LoadUint32(u32(r.mem, slotGen)) == gen {
			return t
		}
	}
}
