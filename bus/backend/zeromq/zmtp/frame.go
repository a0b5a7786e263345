package zmtp

import (
	"encoding/binary"
	"fmt"
)

// Flags of a frame; the other bits are reserved and zero.
const (
	flagMore    = 1 // more frames of this message follow
	flagLong    = 2 // eight bytes of length, not one
	flagCommand = 4

	innerCommand = 2 // the same inside a CURVE MESSAGE
)

// frame describes the frame at the start of some bytes.
type frame struct {
	flags byte
	head  int // bytes of header
	size  int // bytes of body
}

// parseHeader reads a frame's header. ok is false while bytes are missing. A
// body above max is an error as soon as its length is known.
func parseHeader(b []byte, max int) (f frame, ok bool, err error) {
	if len(b) == 0 {
		return f, false, nil
	}
	f.flags = b[0]
	if f.flags&^(flagMore|flagLong|flagCommand) != 0 {
		return f, false, fmt.Errorf("%w: frame with flags %#02x", ErrProtocol, f.flags)
	}
	if f.flags&flagCommand != 0 && f.flags&flagMore != 0 {
		return f, false, fmt.Errorf("%w: command in several frames", ErrProtocol)
	}
	if f.flags&flagLong == 0 {
		if len(b) < 2 {
			return f, false, nil
		}
		f.head, f.size = 2, int(b[1])
	} else {
		if len(b) < 9 {
			return f, false, nil
		}
		n := binary.BigEndian.Uint64(b[1:])
		if n > uint64(max) {
			return f, false, fmt.Errorf("%w: frame of %d bytes, limit %d", ErrTooLarge, n, max)
		}
		f.head, f.size = 9, int(n)
	}
	if f.size > max {
		return f, false, fmt.Errorf("%w: frame of %d bytes, limit %d", ErrTooLarge, f.size, max)
	}
	return f, true, nil
}

// appendHeader appends the header of a frame with a body of size bytes.
func appendHeader(b []byte, flags byte, size int) []byte {
	if size <= 255 {
		return append(b, flags, byte(size))
	}
	b = append(b, flags|flagLong)
	return binary.BigEndian.AppendUint64(b, uint64(size))
}

// appendFrame appends a whole frame.
func appendFrame(b []byte, flags byte, body []byte) []byte {
	return append(appendHeader(b, flags, len(body)), body...)
}

// appendMessage appends a message of these parts.
func appendMessage(b []byte, parts [][]byte) []byte {
	for i, p := range parts {
		var flags byte
		if i < len(parts)-1 {
			flags = flagMore
		}
		b = appendFrame(b, flags, p)
	}
	return b
}

// wholeMessages says how many whole messages the first n bytes of b hold, and
// where the first that is not whole begins. b is of our own making. Commands
// count as bytes, not as messages.
func wholeMessages(b []byte, n int) (messages, end int) {
	at := 0
	for at < len(b) {
		f, ok, err := parseHeader(b[at:], len(b))
		if !ok || err != nil {
			break
		}
		at += f.head + f.size
		if at > n {
			break
		}
		if f.flags&flagMore == 0 {
			if end = at; f.flags&flagCommand == 0 {
				messages++
			}
		}
	}
	return messages, end
}

// Message is one whole message of one or more parts, as it arrived. It and its
// bytes are lent until the call that passed it returns.
type Message struct {
	wire  []byte // the frames with their headers, in clear
	parts [][]byte
}

// NewMessage makes a message that may be sent many times; it copies the parts.
func NewMessage(parts ...[]byte) Message {
	m := Message{wire: appendMessage(nil, parts)}
	at := 0
	for _, p := range parts {
		f, _, _ := parseHeader(m.wire[at:], len(m.wire))
		at += f.head
		m.parts = append(m.parts, m.wire[at:at+len(p):at+len(p)])
		at += len(p)
	}
	return m
}

// Parts are the bodies of the frames.
func (m Message) Parts() [][]byte { return m.parts }

// Size is the number of bytes of all parts.
func (m Message) Size() int {
	n := 0
	for _, p := range m.parts {
		n += len(p)
	}
	return n
}

// Clone returns a message that may be kept.
func (m Message) Clone() Message { return NewMessage(m.parts...) }
