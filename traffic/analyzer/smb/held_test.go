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
	f := factory(most, maxNames, files.New(files.Default(), nobody{}))
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

// create asks for a file with a long name.
func create(message uint64, name byte, size int) []byte {
	b := make([]byte, headerSize+56+size)
	copy(b, "\xfeSMB")
	order.PutUint16(b[4:], headerSize)
	order.PutUint16(b[12:], cmdCreate)
	order.PutUint64(b[24:], message)
	p := b[headerSize:]
	order.PutUint16(p, 57)
	order.PutUint16(p[44:], headerSize+56)
	order.PutUint16(p[46:], uint16(size))
	for i := range size {
		p[56+i] = name
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// Names of what is open are bounded, for a connection and for all; what was
// counted is free when they end.
func TestNames(t *testing.T) {
	const most = 8 << 20
	f := factory(maxHeld, most, files.New(files.Default(), nobody{}))
	rec := quiet()
	var all []*smb
	for range 20 {
		a := f.New(value.ProtoTCP).(*smb)
		all = append(all, a)
		for i := range uint64(900) {
			a.Deliver(rec, true, create(i, 0x4e, 2*maxName)) // three bytes a character
			if n := a.nameBytes(); n > maxConnNames+3*maxName || a.state.names < n {
				t.Fatalf("a connection keeps %d bytes of names, and counts %d", n, a.state.names)
			}
		}
	}
	kept := 0
	for _, a := range all {
		kept += a.nameBytes()
	}
	if s := all[0].shared; s.names > most || kept > s.names || kept < most/4 {
		t.Errorf("%d bytes of names are counted, %d kept", s.names, kept)
	}
	for _, a := range all {
		a.End(rec)
	}
	if n := all[0].shared.names; n != 0 {
		t.Errorf("%d bytes of names are counted behind the end", n)
	}
}

// Files that were closed do not count: a connection may open any number of them,
// one after the other, and what is open stays known.
func TestClosedNames(t *testing.T) {
	a := Factory(files.New(files.Default(), nobody{})).New(value.ProtoTCP).(*smb)
	rec := quiet()
	a.Deliver(rec, true, create(1<<40, 0x41, 20))
	for i := range uint64(2000) {
		a.Deliver(rec, true, create(i, 0x4e, 2*maxName))
		a.Deliver(rec, false, answers(i, 1, 0xc0000034)) // there is no such file
	}
	if a.pending[1<<40] == nil {
		t.Error("what is open was forgotten")
	}
	a.End(rec)
}
