package afpacket

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Layout of a TPACKET_V3 ring (linux/if_packet.h). All numbers are in the
// machine's byte order. Offsets in a block:
const (
	blkStatus   = 8  // u32, TP_STATUS_USER: ours
	blkPackets  = 12 // u32
	blkFirst    = 16 // u32, offset of the first packet
	blkSeq      = 24 // u64, number of the block, from 1; block n is at index (n-1) mod blocks
	blkPriv     = 48 // private area, never touched by the kernel
	privSize    = 128
	placeSeq    = blkPriv + 96  // u64, in the private area: the block that placeBefore is about
	placeBefore = blkPriv + 104 // u64, packets of the ring before this block
	frameSize   = 2048          // has no meaning in V3, but must divide the block
	retireAfter = 10            // ms until the kernel hands over a block that is not full
)

// Offsets in a packet's header, which a struct sockaddr_ll follows.
const (
	hdrNext    = 0  // u32
	hdrSec     = 4  // u32
	hdrNsec    = 8  // u32
	hdrSnapLen = 12 // u32
	hdrLen     = 16 // u32
	hdrStatus  = 20 // u32
	hdrMAC     = 24 // u16, offset of the link layer
	hdrTCI     = 32 // u32
	hdrTPID    = 36 // u16
	llPktType  = 58 // u8, sll_pkttype
	hdrSize    = 68
)

const (
	// reserve is room in front of each packet: 12 bytes to save its MAC
	// addresses and 4 for the VLAN tag that the kernel took out.
	reserve = 16
	// statusTagged is our own bit in a packet's status: the MAC addresses are
	// saved, putting the tag back may have begun.
	statusTagged = 1 << 20
)

// ring is a mapped ring.
type ring struct {
	mem    []byte
	size   int // of a block
	blocks int
}

func mapRing(fd int, d Ring) (ring, error) {
	mem, err := unix.Mmap(fd, 0, d.BlockSize*d.Blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return ring{mem, d.BlockSize, d.Blocks}, err
}

// block returns the block with the number seq, or the one that will have it.
func (r ring) block(seq uint64) []byte {
	i := int((seq - 1) % uint64(r.blocks))
	return r.mem[i*r.size : (i+1)*r.size]
}

func u32(b []byte, off int) *uint32 { return (*uint32)(unsafe.Pointer(&b[off : off+4][0])) }
func u64(b []byte, off int) *uint64 { return (*uint64)(unsafe.Pointer(&b[off : off+8][0])) }

func ours(block []byte) bool {
	return atomic.LoadUint32(u32(block, blkStatus))&unix.TP_STATUS_USER != 0
}
func number(block []byte) uint64  { return atomic.LoadUint64(u64(block, blkSeq)) }
func packets(block []byte) uint32 { return atomic.LoadUint32(u32(block, blkPackets)) }

// before returns how many packets of the ring came before the block seq.
// Whoever released the block in front of it has noted that.
func (r ring) before(seq uint64) uint64 {
	b := r.block(seq)
	if atomic.LoadUint64(u64(b, placeSeq)) != seq {
		return 0 // the first one
	}
	return atomic.LoadUint64(u64(b, placeBefore))
}

// release gives the block seq back to the kernel. That its packets are behind
// us is noted in the next block once, so dying in here and doing it again counts
// nothing twice. The count of a released block is zero, so that it is never
// taken for one with packets.
func (r ring) release(seq uint64) {
	b, next := r.block(seq), r.block(seq+1)
	if atomic.LoadUint64(u64(next, placeSeq)) != seq+1 {
		atomic.StoreUint64(u64(next, placeBefore), r.before(seq)+uint64(packets(b)))
		atomic.StoreUint64(u64(next, placeSeq), seq+1)
	}
	atomic.StoreUint32(u32(b, blkPackets), 0)
	atomic.StoreUint32(u32(b, blkStatus), unix.TP_STATUS_KERNEL)
}

// newest returns the highest number of a block, which is the one the kernel
// fills or, if the ring is full, has filled last.
func (r ring) newest() uint64 {
	var n uint64
	for i := 1; i <= r.blocks; i++ {
		n = max(n, number(r.block(uint64(i))))
	}
	return n
}

// locate returns the number of the block that a reader new to the ring begins
// with: the oldest one that nobody released, else the one that the kernel
// fills. A scan is taken only if the kernel opened no block since the one
// before: then the state of all older blocks is settled.
func (r ring) locate() uint64 {
	before := r.newest()
	for {
		var oldest, newest uint64
		for i := 1; i <= r.blocks; i++ {
			b := r.block(uint64(i))
			n := number(b)
			newest = max(newest, n)
			if ours(b) && (oldest == 0 || n < oldest) {
				oldest = n
			}
		}
		if newest == before {
			if oldest != 0 {
				return oldest
			}
			return max(1, newest)
		}
		before = newest
	}
}

// unread counts packets in blocks that no reader has released.
func (r ring) unread() uint64 {
	var n uint64
	from, last := r.locate(), r.newest()
	for seq := from; seq <= last; seq++ {
		b := r.block(seq)
		if ours(b) || seq == last {
			n += uint64(packets(b))
		}
	}
	return n
}

// parser turns a block into frames.
type parser struct {
	link     capture.LinkType
	loopback bool
	resume   uint64 // leave out packets up to this one
}

// parsed counts what parse found.
type parsed struct {
	bytes, filtered uint64
}

// parse appends the packets of a block, numbered from seq+1, to frames. The offsets are the kernel's;
// they are checked all the same, since other processes can write to the ring.
func (p *parser) parse(frames []capture.Frame, block []byte, seq uint64) ([]capture.Frame, parsed) {
	var sum parsed
	var ne = binary.NativeEndian
	n := int(packets(block))
	off := int(ne.Uint32(block[blkFirst:]))
	for i := 0; i < n; i++ {
		if off < 0 || off+hdrSize > len(block) {
			break
		}
		h := block[off : off+hdrSize]
		seq++
		mac, caplen := off+int(ne.Uint16(h[hdrMAC:])), int(ne.Uint32(h[hdrSnapLen:]))
		if mac+caplen > len(block) {
			break
		}
		next, status := int(ne.Uint32(h[hdrNext:])), ne.Uint32(h[hdrStatus:])
		switch {
		case seq <= p.resume:
		case p.loopback && h[llPktType] == unix.PACKET_OUTGOING:
			sum.filtered++
		default:
			wire := int(ne.Uint32(h[hdrLen:]))
			if status&unix.TP_STATUS_VLAN_VALID != 0 && caplen >= 12 && mac-off >= hdrSize+reserve {
				tag(block, off, mac, status)
				mac, caplen, wire = mac-4, caplen+4, wire+4
			}
			frames = append(frames, capture.Frame{
				Time:       packet.Time(float64(ne.Uint32(h[hdrSec:])) + float64(ne.Uint32(h[hdrNsec:]))/1e9),
				Seq:        seq,
				Data:       block[mac : mac+caplen : mac+caplen],
				WireLen:    wire,
				Link:       p.link,
				NoChecksum: status&unix.TP_STATUS_CSUMNOTREADY != 0,
			})
			sum.bytes += uint64(caplen)
		}
		if next == 0 {
			break
		}
		off += next
	}
	return frames, sum
}

// tag puts the VLAN tag back that the kernel moved to the header. The MAC
// addresses are saved first, so that the successor of a reader that died in
// here does it again with the same result.
func tag(block []byte, off, mac int, status uint32) {
	var ne = binary.NativeEndian
	h := block[off : off+hdrSize]
	saved := block[mac-reserve : mac-4]
	if status&statusTagged == 0 {
		copy(saved, block[mac:mac+12])
		atomic.StoreUint32(u32(h, hdrStatus), status|statusTagged)
	}
	copy(block[mac-4:mac+8], saved)
	tpid := uint16(unix.ETH_P_8021Q)
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tpid = ne.Uint16(h[hdrTPID:])
	}
	binary.BigEndian.PutUint16(block[mac+8:], tpid)
	binary.BigEndian.PutUint16(block[mac+10:], uint16(ne.Uint32(h[hdrTCI:])))
}
