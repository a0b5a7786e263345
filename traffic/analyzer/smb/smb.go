// Package smb reads SMB 2 and 3 as far as the files that are carried: which trees
// and files are open, what is read from them and written to them.
//
// It stands between flow, which hands it the bytes of a connection, and the table
// of files. It owns, per connection, one message of each side that is not yet
// complete, all of them bounded, and what is open. It writes no log and reads neither SMB 1 nor what
// is encrypted; of the authentication it only says by which name it goes.
//
// Sources: MS-SMB2, RFC 1002 (framing); what is one file, and what confirms, is
// Zeek 9.0's.
package smb

import (
	"bytes"
	"encoding/binary"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, and the source of its files.
const Name = "SMB"

const (
	// maxMessage is the largest message that is read; Zeek's buffers end there, too.
	maxMessage = 10 << 20
	// maxPending is how many requests without an answer are remembered
	// (SMB::max_pending_messages); with more all are forgotten.
	maxPending = 1000
	// maxOpen is how many trees and files of a connection are remembered.
	maxOpen = 1024
	// confirmAfter is how many messages must make sense.
	confirmAfter = 3
	// maxFree is how many finished analyzers are kept for reuse, keepBuf the largest
	// buffer with them.
	maxFree = 32
	keepBuf = 64 << 10
	// maxHeld is how many bytes of incomplete messages a worker holds. One that
	// would need more is given up.
	maxHeld = 256 << 20
	// minBuf is the smallest buffer.
	minBuf = 512
)

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine. Content goes to table.
func Factory(table *files.Table) analyzer.Factory { return factory(maxHeld, maxNames, table) }

// factory is Factory with limits of its own.
func factory(most, names int, table *files.Table) analyzer.Factory {
	s := &shared{files: table, most: most, mostNames: names, free: freelist.New[*smb](maxFree)}
	return analyzer.Factory{
		Name:       Name,
		Ports:      []analyzer.Port{{Num: 139, Proto: value.ProtoTCP}, {Num: 445, Proto: value.ProtoTCP}},
		Signatures: signatures.SMB(),
		New: func(value.Proto) analyzer.Analyzer {
			if a := s.free.Take(); a != nil {
				return a
			}
			a := &smb{shared: s}
			a.clear()
			return a
		},
	}
}

// shared is what the analyzers of a worker have in common.
type shared struct {
	files            *files.Table
	free             freelist.List[*smb]
	held             int    // bytes of all buffers
	most             int    // at most
	names, mostNames int    // bytes of names of what is open, and how many there may be
	spare            []byte // the last large one, for whom needs one next
}

// smb is the analyzer of one connection.
type smb struct {
	*shared
	buf      [2][]byte // an incomplete message of originator and responder
	synced   [2]bool   // the last byte that was taken ended a message, or is in one
	messages int       // that made sense
	state
}

func side(orig bool) int {
	if orig {
		return 0
	}
	return 1
}

// Deliver implements analyzer.Analyzer.
func (a *smb) Deliver(c analyzer.Conn, orig bool, data []byte) {
	n := side(orig)
	for len(data) > 0 {
		if !a.synced[n] {
			if data = a.search(n, data); !a.synced[n] {
				return
			}
			continue
		}
		need := framing
		if len(a.buf[n]) >= framing {
			need += length(a.buf[n])
		} else if len(a.buf[n]) == 0 && len(data) >= framing {
			// The usual case: a message in one piece is read where it lies.
			if size := framing + length(data); size <= len(data) {
				if !a.message(c, orig, data[:size:size]) {
					return
				}
				data = data[size:]
				continue
			}
		}
		if need > maxMessage {
			a.lost(c, "a message that is too long")
			return
		}
		k := min(need-len(a.buf[n]), len(data))
		if !a.grow(n, k, need) {
			analyzer.ReachLimit(c)
			a.resync()
			return
		}
		a.buf[n], data = append(a.buf[n], data[:k]...), data[k:]
		b := a.buf[n]
		if len(b) < need || need == framing && length(b) > 0 {
			continue // more must come, now it is known how much
		}
		a.buf[n] = b[:0]
		if !a.message(c, orig, b) {
			return
		}
		a.shrink(n)
	}
}

// grow makes room for k more bytes of a message of need bytes: as much as has
// come, not as a header promises. It reports false if too much is held.
func (a *smb) grow(n, k, need int) bool {
	b := a.buf[n]
	if len(b)+k <= cap(b) {
		return true
	}
	size := max(len(b)+k, min(need, 2*cap(b)), minBuf)
	if size > keepBuf && size <= cap(a.spare) {
		a.buf[n] = append(a.spare[:0], b...)
		a.held -= cap(b)
		a.spare = nil
		return true
	}
	if a.held += size - cap(b); a.held > a.most {
		a.held -= size - cap(b)
		return false
	}
	a.buf[n] = append(make([]byte, 0, size), b...)
	return true
}

// shrink empties a buffer, and gives it away if it is large.
func (a *smb) shrink(n int) {
	b := a.buf[n][:0]
	if a.buf[n] = b; cap(b) <= keepBuf {
		return
	}
	if a.buf[n] = nil; cap(b) > cap(a.spare) {
		b, a.spare = a.spare, b
	}
	a.held -= cap(b)
}

// search looks for the beginning of a message, and returns what follows the bytes
// that it has taken.
func (a *smb) search(n int, data []byte) []byte {
	const size = framing + len(mark)
	if held := len(a.buf[n]); held > 0 {
		// Perhaps it lies across the end of the last piece.
		b := append(a.buf[n], data[:min(size-1, len(data))]...)
		if i := beginning(b); i >= 0 {
			a.synced[n] = true
			a.buf[n] = append(b[:0], b[i:i+size]...)
			return data[i+size-held:]
		}
		if len(data) < size {
			a.buf[n] = b[:copy(b, b[max(0, len(b)-size+1):])]
			return nil
		}
		a.buf[n] = b[:0]
	}
	if i := beginning(data); i >= 0 {
		a.synced[n] = true
		return data[i:]
	}
	if a.grow(n, size, minBuf) {
		a.buf[n] = append(a.buf[n], data[max(0, len(data)-size+1):]...)
	}
	return nil
}

const (
	framing = 4 // type and length
	mark    = "?SMB"
)

// beginning returns where a message of any SMB begins, -1 if nowhere.
func beginning(b []byte) int {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(mark[1:]))
		if i < 0 {
			return -1
		}
		at += i + 1
		if from := at - 2 - framing; from >= 0 {
			if m := b[from:]; m[0] == 0 && length(m) >= len(mark) && (m[framing] == 0xff || m[framing] == 0xfe) {
				return from
			}
		}
	}
}

// length returns the length of the message behind the first four bytes. Types
// other than 0 are NetBIOS's own, of the same form.
func length(b []byte) int { return int(b[1])<<16 | int(b[2])<<8 | int(b[3]) }

// lost gives up what is incomplete and waits for the next beginning.
func (a *smb) lost(c analyzer.Conn, reason string) {
	c.Violation(Name, reason, nil)
	a.resync()
}

func (a *smb) resync() {
	for n := range a.buf {
		a.shrink(n)
		a.synced[n] = false
	}
}

// message reads a message with its four bytes of framing, which may hold several
// commands. It reports false if it makes no sense.
func (a *smb) message(c analyzer.Conn, orig bool, b []byte) bool {
	if b[0] == 0 && !a.commands(c, orig, b[framing:]) {
		a.lost(c, "a message that is cut or contradicts itself")
		return false
	}
	if a.messages++; a.messages == confirmAfter {
		c.Confirm("smb")
	}
	return true
}

var order = binary.LittleEndian

// Header of SMB 2 and 3, from its mark on.
const headerSize = 64

// commands reads the commands of a message.
func (a *smb) commands(c analyzer.Conn, orig bool, b []byte) bool {
	for {
		if len(b) < 4 {
			return false
		}
		if b[0] != 0xfe || string(b[1:4]) != "SMB" {
			return true // SMB 1, encrypted, or no SMB at all
		}
		if len(b) < headerSize {
			return false
		}
		next := int64(order.Uint32(b[20:]))
		one := b
		if next != 0 {
			if next < headerSize || next > int64(len(b)) {
				return false
			}
			one = b[:next]
		}
		h := header{
			status: order.Uint32(b[8:]), command: order.Uint16(b[12:]), message: order.Uint64(b[24:]), tree: order.Uint32(b[36:]),
		}
		if !a.command(c, orig, &h, one) {
			return false
		}
		if next == 0 {
			return true
		}
		b = b[next:]
	}
}

// Gap implements analyzer.Analyzer.
func (a *smb) Gap(analyzer.Conn, bool, uint64) { a.resync() }

// End implements analyzer.Analyzer.
func (a *smb) End(analyzer.Conn) {
	for n := range a.buf {
		a.shrink(n)
	}
	a.synced, a.messages = [2]bool{}, 0
	a.named(-a.state.names)
	a.clear()
	if a.free.Keep(a) {
		return
	}
	for n := range a.buf {
		a.held -= cap(a.buf[n])
		a.buf[n] = nil
	}
}
