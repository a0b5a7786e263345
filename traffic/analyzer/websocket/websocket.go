// Package websocket reads WebSocket: frames, messages, closes, and the stream of
// another protocol that they may carry.
//
// It stands below HTTP, which hands it what follows an upgrade, between flow and
// policy, which implements Handler. What texts and binary messages hold, unmasked,
// goes on to an analyzer below: the one that policy names, or whatever signatures
// find. It owns, per connection and direction, one header and the beginning of a
// close. It unpacks nothing: with permessage-deflate what goes on is packed, as in
// Zeek 9.0. It keeps no payload, and knows nothing of HTTP.
//
// Sources: RFC 6455, 7692.
package websocket

import (
	"encoding/binary"
	"strconv"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, service the one in conn.log's service column.
const Name, service = "WEBSOCKET", "websocket"

// What a frame is.
const (
	Continuation = 0
	Text         = 1
	Binary       = 2
	Close        = 8
	Ping         = 9
	Pong         = 10
)

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End
// it is given to another one. What it is given is borrowed.
type Handler interface {
	// Open says that the protocol begins, and asks which analyzer (the name of a
	// factory) reads what messages hold; empty: whatever signatures find.
	Open(c analyzer.Conn) (below string)
	// Frame hands over the head of a frame.
	Frame(c analyzer.Conn, f *Frame)
	// Message says that a message is over, and what its first frame was.
	Message(c analyzer.Conn, orig bool, opcode uint8)
	// Closing hands over a close: status 0 and no reason if it is empty, else what
	// the first 125 bytes hold.
	Closing(c analyzer.Conn, orig bool, status uint16, reason []byte)
	// End says that the connection is going.
	End(c analyzer.Conn)
}

// Frame is the head of a frame.
type Frame struct {
	Orig, Fin bool
	Reserved  uint8 // three bits; 4: packed
	Opcode    uint8
	Length    uint64
}

const (
	// maxControl is how much of a close, ping or pong is looked at
	// (WebSocket::max_control_frame_size).
	maxControl = 125
	// chunk is how many bytes are unmasked at a time.
	chunk = 4096
	// maxHead is the longest head of a frame.
	maxHead = 14
	// maxFree is how many finished analyzers are kept for reuse, maxBufs how many
	// buffers.
	maxFree, maxBufs = 1024, 8
)

// Factory returns the factory of one worker; it and all its analyzers are used
// by one goroutine. newHandler is called for an analyzer that is made, not for
// one that is used again.
func Factory(newHandler func() Handler) analyzer.Factory {
	s := &shared{free: freelist.New[*socket](maxFree), bufs: freelist.New[[]byte](maxBufs)}
	return analyzer.Factory{
		Name: Name,
		New: func(value.Proto) analyzer.Analyzer {
			if a := s.free.Take(); a != nil {
				return a
			}
			return &socket{s: s, h: newHandler()}
		},
	}
}

// shared is what the analyzers of a worker have in common.
type shared struct {
	free  freelist.List[*socket]
	bufs  freelist.List[[]byte] // to unmask in; one in use for each WebSocket inside another
	frame Frame
}

func (s *shared) buf() []byte {
	if b := s.bufs.Take(); b != nil {
		return b
	}
	return make([]byte, chunk)
}

// socket is the analyzer of one connection.
type socket struct {
	s     *shared
	h     Handler
	child analyzer.Child
	lost  bool // bytes are missing: nothing more is read
	busy  bool // Deliver is running
	ended bool // and will end the analyzer
	sides [2]side
}

// side is a direction.
type side struct {
	head    [maxHead]byte
	n       int    // bytes of head there are
	inFrame bool   // head is whole
	more    bool   // the message has more frames
	first   uint8  // opcode of its first frame
	opcode  uint8  // of this frame
	left    uint64 // bytes of the frame to come
	masked  bool
	fin     bool
	key     [4]byte
	at      int // place in key
	close   [maxControl]byte
	nclose  int
}

// Open implements analyzer.Opener.
func (a *socket) Open(c analyzer.Conn) {
	if below := a.h.Open(c); below != "" {
		a.child = analyzer.StartChild(c, below)
	} else {
		a.child = analyzer.StartDetect(c)
	}
}

// Deliver implements analyzer.Analyzer.
func (a *socket) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if a.lost || a.busy {
		return
	}
	a.busy = true
	a.read(c, orig, data)
	if a.busy = false; a.ended {
		a.end(c)
	}
}

// read takes the bytes of a direction.
func (a *socket) read(c analyzer.Conn, orig bool, data []byte) {
	s := &a.sides[0]
	if !orig {
		s = &a.sides[1]
	}
	for len(data) > 0 && !a.ended {
		if s.inFrame {
			n := int(min(uint64(len(data)), s.left))
			a.payload(c, orig, s, data[:n])
			data = data[n:]
			if s.left -= uint64(n); s.left == 0 {
				if !a.frameEnds(c, orig, s) {
					return
				}
			}
			continue
		}
		n := copy(s.head[s.n:s.size()], data)
		data = data[n:]
		if s.n += n; s.n < 2 || s.n < s.size() {
			continue
		}
		if !a.frame(c, orig, s) {
			return // the rest is not what it should be
		}
	}
}

// size returns how long the head is, as far as is known.
func (s *side) size() int {
	if s.n < 2 {
		return 2
	}
	n := 2
	switch s.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if s.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// frame begins a frame and reports whether it may.
func (a *socket) frame(c analyzer.Conn, orig bool, s *side) bool {
	f := &a.s.frame
	*f = Frame{Orig: orig, Fin: s.head[0]&0x80 != 0, Reserved: s.head[0] >> 4 & 7, Opcode: s.head[0] & 15, Length: uint64(s.head[1] & 0x7f)}
	// Zeek takes a control frame in the middle of a message for a mistake too.
	if s.more != (f.Opcode == Continuation) {
		s.reset()
		c.Violation(service, "a message begins with a continuation, or goes on without", nil)
		return false
	}
	rest := s.head[2:s.n]
	switch f.Length {
	case 126:
		f.Length, rest = uint64(binary.BigEndian.Uint16(rest)), rest[2:]
	case 127:
		f.Length, rest = binary.BigEndian.Uint64(rest), rest[8:]
	}
	if s.masked = len(rest) == 4; s.masked {
		copy(s.key[:], rest)
	}
	s.at, s.n, s.left, s.fin, s.nclose, s.opcode = 0, 0, f.Length, f.Fin, 0, f.Opcode
	if !s.more {
		s.first = f.Opcode
	}
	s.more = true
	if f.Length > maxControl && (s.first == Close || s.first == Ping || s.first == Pong) {
		c.Weird("websocket_control_frame_size_exceeded", strconv.FormatUint(f.Length, 10)+" > "+strconv.Itoa(maxControl), Name)
	}
	s.inFrame = true
	a.h.Frame(c, f)
	if f.Length == 0 {
		if f.Opcode == Close {
			a.h.Closing(c, orig, 0, nil)
		}
		s.inFrame = false
		a.over(c, orig, s)
	}
	return true
}

// payload takes a part of a frame.
func (a *socket) payload(c analyzer.Conn, orig bool, s *side, data []byte) {
	carries := s.first == Text || s.first == Binary
	if s.opcode == Close && s.nclose < maxControl {
		n := min(maxControl-s.nclose, len(data))
		s.unmask(s.close[s.nclose:s.nclose+n], data[:n])
		s.nclose += n
	}
	if !carries || a.child == 0 {
		return
	}
	if !s.masked {
		a.child.Forward(c, orig, data)
		return
	}
	// The bytes are not ours to change, and a WebSocket inside needs its own buffer.
	buf := a.s.buf()
	for len(data) > 0 && a.child != 0 && !a.ended {
		n := min(len(data), len(buf))
		s.unmask(buf[:n], data[:n])
		data = data[n:]
		a.child.Forward(c, orig, buf[:n])
	}
	a.s.bufs.Keep(buf)
}

// unmask writes src without its mask to dst, which is as long.
func (s *side) unmask(dst, src []byte) {
	if !s.masked {
		copy(dst, src)
		return
	}
	k := [4]byte{s.key[s.at&3], s.key[(s.at+1)&3], s.key[(s.at+2)&3], s.key[(s.at+3)&3]}
	s.at = (s.at + len(src)) & 3
	four := uint64(binary.LittleEndian.Uint32(k[:]))
	eight := four | four<<32
	i := 0
	for ; i+8 <= len(src); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(src[i:])^eight)
	}
	for ; i < len(src); i++ {
		dst[i] = src[i] ^ k[i&3]
	}
}

// frameEnds ends a frame that held something, and reports whether it was right.
func (a *socket) frameEnds(c analyzer.Conn, orig bool, s *side) bool {
	s.inFrame = false
	if s.opcode == Close {
		if s.nclose < 2 {
			s.reset()
			c.Violation(service, "a close without a whole status", nil)
			return false
		}
		a.h.Closing(c, orig, binary.BigEndian.Uint16(s.close[:]), s.close[2:s.nclose])
	}
	a.over(c, orig, s)
	return true
}

// over ends the message if this was its last frame.
func (a *socket) over(c analyzer.Conn, orig bool, s *side) {
	if !s.fin {
		return
	}
	s.more = false
	c.Confirm(service)
	a.h.Message(c, orig, s.first)
}

// reset forgets what a direction is in the middle of.
func (s *side) reset() { *s = side{} }

// Gap implements analyzer.Analyzer. Behind a gap nobody knows where frames are.
func (a *socket) Gap(analyzer.Conn, bool, uint64) { a.lost = true }

// End implements analyzer.Analyzer.
func (a *socket) End(c analyzer.Conn) {
	if a.busy {
		a.ended = true
		return
	}
	a.end(c)
}

func (a *socket) end(c analyzer.Conn) {
	a.h.End(c)
	*a = socket{s: a.s, h: a.h}
	a.s.free.Keep(a)
}
