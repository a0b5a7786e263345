package smb

import (
	"encoding/binary"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/value"
)

func quiet() *analyzertest.Recorder { return &analyzertest.Recorder{Quiet: true} }

type nobody struct{}

func (nobody) New(*files.File)     {}
func (nobody) Sniffed(*files.File) {}
func (nobody) Removed(*files.File) {}

// answers makes a message of n answers, the first with a number.
func answers(first uint64, n int, status uint32) []byte {
	b := []byte{0, byte(n * headerSize >> 16), byte(n * headerSize >> 8), byte(n * headerSize)}
	for i := range n {
		h := make([]byte, headerSize)
		copy(h, "\xfeSMB")
		if i < n-1 {
			order.PutUint32(h[20:], headerSize)
		}
		order.PutUint32(h[8:], status)
		order.PutUint64(h[24:], first+uint64(i))
		b = append(b, h...)
	}
	return b
}

// A server that says to everything that it is busy, also to what nobody asked, is
// not remembered without end.
func TestBusyServer(t *testing.T) {
	a := Factory(files.New(files.Default(), nobody{})).New(value.ProtoTCP).(*smb)
	rec := quiet()
	for i := range uint64(200) {
		a.Deliver(rec, false, answers(i*100, 100, statusPending))
	}
	if n := len(a.pending); n > maxPending {
		t.Errorf("%d answers are remembered, at most %d are allowed", n, maxPending)
	}
	a.End(rec)
}

// Many connections that begin a message and stop do not hold more than allowed,
// and what they held is free when they end.
func TestHeld(t *testing.T) {
	const most = 8 << 20
	f := factory(most, files.New(files.Default(), nobody{}))
	rec := quiet()
	var s *shared
	var all []analyzer.Analyzer
	head := binary.BigEndian.AppendUint32(nil, 1<<20)
	head = append(head, "\xfeSMB"...)
	for range 100 {
		a := f.New(value.ProtoTCP)
		s = a.(*smb).shared
		a.Deliver(rec, true, []byte("no SMB"))
		a.Deliver(rec, true, head)
		for range 200 {
			a.Deliver(rec, true, make([]byte, 1400))
		}
		all = append(all, a)
	}
	if s.held > most || s.held < most/2 {
		t.Errorf("%d bytes are held", s.held)
	}
	for _, a := range all {
		a.End(rec)
	}
	left := cap(s.spare)
	for a := s.free.Take(); a != nil; a = s.free.Take() {
		left += cap(a.buf[0]) + cap(a.buf[1])
	}
	if s.held != left || left > 2*maxFree*keepBuf+1<<20 {
		t.Errorf("%d bytes are held behind the end, of which %d are there", s.held, left)
	}
}

// A header that promises much takes no more memory than what follows it.
func TestPromise(t *testing.T) {
	f := Factory(files.New(files.Default(), nobody{}))
	rec := quiet()
	for range 100 {
		a := f.New(value.ProtoTCP).(*smb)
		for _, orig := range []bool{true, false} {
			a.Deliver(rec, orig, append([]byte{0, 0x90, 0, 0}, "\xfeSMB"...))
		}
		if n := cap(a.buf[0]) + cap(a.buf[1]); n > 4096 {
			t.Fatalf("16 bytes take %d", n)
		}
	}
}

// A connection that has sent a large message does not keep room for another.
func TestBetween(t *testing.T) {
	f := Factory(files.New(files.Default(), nobody{}))
	rec := quiet()
	for range 3 {
		a := f.New(value.ProtoTCP).(*smb)
		b := append([]byte{0, 0x10, 0, 0}, make([]byte, 1<<20)...)
		copy(b[4:], "\xffSMB")
		for range 2 {
			for rest := b; len(rest) > 0; {
				n := min(len(rest), 1460)
				a.Deliver(rec, true, rest[:n])
				rest = rest[n:]
			}
		}
		if n := cap(a.buf[0]); n > keepBuf {
			t.Errorf("%d bytes are held between messages", n)
		}
		if a.messages != 2 {
			t.Errorf("%d messages were read", a.messages)
		}
	}
}
