package afpacket

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/picket-nsm/picket/traffic/capture"
)

// fake is a ring in plain memory; states gives number and status of its blocks.
func fake(blocks ...[2]uint64) ring {
	r := ring{make([]byte, 4096*len(blocks)), 4096, len(blocks)}
	for i, b := range blocks {
		mem := r.mem[i*r.size:]
		*u64(mem, blkSeq) = b[0]
		*u32(mem, blkStatus) = uint32(b[1])
		*u32(mem, blkPackets) = 7
		if b[1] == 2 { // released
			*u32(mem, blkPackets), *u32(mem, blkStatus) = 0, 0
		}
	}
	return r
}

// A successor finds its place whatever state its predecessor left.
func TestLocate(t *testing.T) {
	const open, user, released = 0, 1, 2
	for _, c := range []struct {
		name         string
		ring         ring
		next, unread uint64
	}{
		{"untouched", fake([2]uint64{0, open}, [2]uint64{0, open}), 1, 0},
		{"first block open", fake([2]uint64{1, open}, [2]uint64{0, open}), 1, 7},
		{"one to read", fake([2]uint64{1, user}, [2]uint64{2, open}), 1, 14},
		{"one released", fake([2]uint64{1, released}, [2]uint64{2, open}), 2, 7},
		{"wrapped", fake([2]uint64{5, open}, [2]uint64{2, released}, [2]uint64{3, user}, [2]uint64{4, user}), 3, 21},
		{"full", fake([2]uint64{5, user}, [2]uint64{2, user}, [2]uint64{3, user}, [2]uint64{4, user}), 2, 28},
		{"full, two released, not thawed", fake([2]uint64{5, user}, [2]uint64{2, released}, [2]uint64{3, released}, [2]uint64{4, user}), 4, 14},
		{"full, all released, not thawed", fake([2]uint64{5, released}, [2]uint64{2, released}, [2]uint64{3, released}, [2]uint64{4, released}), 5, 0},
	} {
		if n := c.ring.locate(); n != c.next {
			t.Errorf("%s: begins with %d, want %d", c.name, n, c.next)
		}
		if n := c.ring.unread(); n != c.unread {
			t.Errorf("%s: %d unread, want %d", c.name, n, c.unread)
		}
	}
}

// After a ring that was read whole, the reader moves on as soon as the kernel
// opens a block.
func TestSkipDone(t *testing.T) {
	r := fake([2]uint64{5, 2}, [2]uint64{2, 2}, [2]uint64{3, 2}, [2]uint64{4, 2})
	s := &Source{ring: r, next: r.locate()}
	s.skipDone()
	if s.next != 5 {
		t.Errorf("moved to %d before the kernel did", s.next)
	}
	*u64(r.block(6), blkSeq) = 6
	s.skipDone()
	s.skipDone()
	if s.next != 6 {
		t.Errorf("at %d, want 6", s.next)
	}
}

// Packets are numbered through over blocks and lives, also if a reader dies in
// the middle of a release.
func TestNumbers(t *testing.T) {
	r := fake([2]uint64{5, 1}, [2]uint64{6, 1}, [2]uint64{3, 1}, [2]uint64{4, 1})
	*u64(r.block(3), placeSeq), *u64(r.block(3), placeBefore) = 3, 100
	want := uint64(100)
	for seq := uint64(3); seq <= 6; seq++ {
		if n := r.before(seq); n != want {
			t.Errorf("%d packets before block %d, want %d", n, seq, want)
		}
		r.release(seq)
		*u32(r.block(seq), blkStatus) = unix.TP_STATUS_USER // it died before the last step
		if n := r.locate(); n != seq {
			t.Errorf("successor begins with %d, want %d", n, seq)
		}
		r.release(seq)
		want += 7
	}
	if n := r.before(1); n != 0 {
		t.Errorf("%d packets before the first block", n)
	}
}

// A death at any step of adding up loses and doubles nothing.
func TestAdd(t *testing.T) {
	r := fake([2]uint64{0, 0})
	var want uint64
	for step := 0; step < 200; step++ {
		// The kernel writes fresh counters where settle has it write them.
		gen := *u32(r.mem, slotGen)
		*r.fresh(gen, 0) = uint32(step)
		want += uint64(step)
		// A reader that dies in add has done a part of it: both places of the
		// next generation hold anything.
		*r.sum(gen+1, 0) = 12345
		if step%3 == 0 {
			*r.fresh(gen+1, 0) = 999
		}
		r.add()
		r.add() // the successor's
		if got := r.totals().Packets; got != want {
			t.Fatalf("step %d: %d, want %d", step, got, want)
		}
	}
}

// packetBlock is a block with one packet as the kernel writes it.
func packetBlock(frame []byte, status uint32, tci, tpid uint16) []byte {
	b := make([]byte, 4096)
	ne := binary.NativeEndian
	const off, mac = 176, 98 + 16
	ne.PutUint32(b[blkPackets:], 1)
	ne.PutUint32(b[blkFirst:], off)
	ne.PutUint64(b[blkSeq:], 3)
	h := b[off:]
	ne.PutUint32(h[hdrSec:], 1700000000)
	ne.PutUint32(h[hdrNsec:], 250000000)
	ne.PutUint32(h[hdrSnapLen:], uint32(len(frame)))
	ne.PutUint32(h[hdrLen:], uint32(len(frame)))
	ne.PutUint32(h[hdrStatus:], status)
	ne.PutUint16(h[hdrMAC:], mac)
	ne.PutUint32(h[hdrTCI:], uint32(tci))
	ne.PutUint16(h[hdrTPID:], tpid)
	copy(h[mac:], frame)
	return b
}

// The tag comes back the same after a death at any byte of the work.
func TestTag(t *testing.T) {
	frame := []byte("ddddddssssss\x08\x00payload")
	want := []byte("ddddddssssss\x88\xa8\x20\x0a\x08\x00payload")
	const status = unix.TP_STATUS_VLAN_VALID | unix.TP_STATUS_VLAN_TPID_VALID
	p := parser{link: 1}
	whole := packetBlock(frame, status, 0x200a, 0x88a8)
	before := bytes.Clone(whole)
	p.parse(nil, whole, 0)
	// Bytes the work has changed, in the order of a forward copy: the saved
	// addresses, the status, the new header.
	for cut := 0; cut <= len(whole); cut++ {
		b := bytes.Clone(before)
		if cut < 176+hdrMAC { // not even the status
			copy(b[176+hdrSize:176+98+16-4], whole[176+hdrSize:176+98+16-4])
		} else {
			copy(b[:cut], whole[:cut])
			copy(b[176+98+16-reserve:], whole[176+98+16-reserve:176+98+16-4])
		}
		frames, _ := p.parse(nil, b, 0)
		if len(frames) != 1 || !bytes.Equal(frames[0].Data, want) {
			t.Fatalf("cut at %d: %v", cut, frames)
		}
	}
	f, _ := p.parse(nil, packetBlock(frame, 0, 0, 0), 41)
	if f[0].Seq != 42 || f[0].Time != 1700000000.25 || !bytes.Equal(f[0].Data, frame) || f[0].Link != 1 {
		t.Errorf("plain packet: %+v", f[0])
	}
	p.resume = f[0].Seq
	if f, _ := p.parse(nil, packetBlock(frame, 0, 0, 0), 41); len(f) != 0 {
		t.Errorf("a packet that is in the ledger came again: %+v", f)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(packetBlock([]byte("ddddddssssss\x08\x00payload"), unix.TP_STATUS_VLAN_VALID, 1, 2))
	two := packetBlock([]byte("ddddddssssss\x08\x00payload"), 0, 0, 0)
	two[blkPackets] = 2
	f.Add(two)
	f.Fuzz(func(t *testing.T, b []byte) {
		block := make([]byte, 8192) // aligned, as a mapped one
		copy(block, b)
		p := parser{link: 1, loopback: len(b)%2 == 0}
		var frames []capture.Frame
		if packets(block) > 1<<16 {
			return
		}
		frames, _ = p.parse(frames, block, 0)
		for _, fr := range frames {
			if len(fr.Data) > len(block) {
				t.Fatal("packet larger than its block")
			}
		}
	})
}
