package zmtp

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	firstBuffer = 4 << 10 // what a stranger gets; four times as much whenever a read fills it
	readBuffer  = 128 << 10
	keepBuffer  = 2 << 20  // a larger one is given back when it is empty
	maxCommand  = 64 << 10 // bytes of a handshake command
	commandRoom = 64       // of a subscription command, beside the topic
)

// input cuts a stream of bytes into messages and commands. It is pure: it reads
// where fill says and holds no lock; one goroutine uses it.
//
// Without encryption a message lies in the read buffer as it came. With it, the
// frames are opened into plain, in the same form, so that both are one block of
// frames that can be passed on as it is.
type input struct {
	maxMessage int
	maxParts   int
	session    *session // nil without CURVE

	buf  []byte
	r, w int // unread bytes are buf[r:w]; r is the start of the unfinished message
	at   int // the next frame to look at, r <= at <= w

	filled bool // the last read found more than there was room for

	plain []byte
	sizes []int // frames of the unfinished message so far: header and body sizes in turn
	size  int   // bytes of their bodies
	parts [][]byte
}

// fill reads once from src, with room for at least the frame that is waited for.
func (in *input) fill(src io.Reader) error {
	if in.r > 0 {
		copy(in.buf, in.buf[in.r:in.w])
		in.at -= in.r
		in.w -= in.r
		in.r = 0
	}
	switch {
	case in.buf == nil:
		in.buf = make([]byte, firstBuffer)
	case in.w == 0 && len(in.buf) > keepBuffer:
		in.buf = make([]byte, readBuffer)
	case in.filled && len(in.buf) < readBuffer:
		grown := make([]byte, min(4*len(in.buf), readBuffer))
		copy(grown, in.buf[:in.w])
		in.buf = grown
	case in.w == len(in.buf):
		// Twice as much, so memory follows what came, not what was announced.
		grown := make([]byte, 2*len(in.buf))
		copy(grown, in.buf[:in.w])
		in.buf = grown
	}
	n, err := src.Read(in.buf[in.w:])
	in.w += n
	in.filled = in.w == len(in.buf)
	if n > 0 {
		return nil
	}
	return err
}

// kind is what next found.
type kind uint8

const (
	nothing  kind = iota // bytes are missing: fill
	aMessage             // a whole message
	aCommand             // a command's body
)

// next returns the next message or command in the buffer. Both are valid until
// the next call of next or fill.
func (in *input) next() (k kind, m Message, command []byte, err error) {
	if in.session != nil {
		return in.nextSealed()
	}
	if len(in.sizes) == 0 {
		in.r = in.at
	}
	for {
		f, ok, err := parseHeader(in.buf[in.at:in.w], in.maxMessage+commandRoom)
		if err != nil {
			return nothing, m, nil, err
		}
		if !ok || in.w-in.at < f.head+f.size {
			return nothing, m, nil, nil
		}
		start := in.at
		in.at += f.head + f.size
		if f.flags&flagCommand != 0 {
			command = in.buf[start+f.head : in.at]
			if len(in.sizes) > 0 {
				// Between two frames of a message: libzmq puts its pings there. Take
				// it out, so that the message stays in one piece.
				command = append([]byte(nil), command...)
				copy(in.buf[start:], in.buf[in.at:in.w])
				in.w -= in.at - start
				in.at = start
			}
			return aCommand, m, command, nil
		}
		if err := in.part(f); err != nil {
			return nothing, m, nil, err
		}
		if f.flags&flagMore == 0 {
			return aMessage, in.message(in.buf[in.r:in.at]), nil, nil
		}
	}
}

// part notes a frame of the unfinished message.
func (in *input) part(f frame) error {
	in.size += f.size
	if in.size > in.maxMessage {
		return fmt.Errorf("%w: message above the limit of %d bytes", ErrTooLarge, in.maxMessage)
	}
	if len(in.sizes) >= 2*in.maxParts {
		return fmt.Errorf("%w: message above the limit of %d parts", ErrTooLarge, in.maxParts)
	}
	in.sizes = append(in.sizes, f.head, f.size)
	return nil
}

// message makes a message of the noted frames.
func (in *input) message(wire []byte) Message {
	in.parts = in.parts[:0]
	at := 0
	for i := 0; i < len(in.sizes); i += 2 {
		at += in.sizes[i]
		end := at + in.sizes[i+1]
		in.parts = append(in.parts, wire[at:end:end])
		at = end
	}
	in.sizes, in.size = in.sizes[:0], 0
	return Message{wire: wire, parts: in.parts}
}

// nextSealed is next for frames that hold encrypted frames.
func (in *input) nextSealed() (k kind, m Message, command []byte, err error) {
	if len(in.sizes) == 0 {
		if cap(in.plain) > keepBuffer {
			in.plain = nil
		}
		in.plain = in.plain[:0]
	}
	for {
		in.r = in.at
		f, ok, err := parseHeader(in.buf[in.at:in.w], in.maxMessage+commandRoom+messageOverhead)
		if err != nil {
			return nothing, m, nil, err
		}
		if !ok || in.w-in.at < f.head+f.size {
			return nothing, m, nil, nil
		}
		body := in.buf[in.at+f.head : in.at+f.head+f.size]
		in.at += f.head + f.size
		if f.flags&flagMore != 0 {
			return nothing, m, nil, curveError("outer frame with MORE")
		}
		start := len(in.plain)
		inner := f.size - messageOverhead
		// The inner flags come first in the box; the length is put between them
		// and the body, for which room is left in front.
		gap := 1
		if inner > 255 {
			gap = 8
		}
		for range gap {
			in.plain = append(in.plain, 0)
		}
		opened, err := in.session.unseal(in.plain, body)
		if err != nil {
			// An ERROR command is the one thing that comes in clear.
			if name, data, e := parseCommand(body); e == nil && name == "ERROR" {
				err = fmt.Errorf("%w: reason %s", ErrRefused, errorReason(data))
			}
			return nothing, m, nil, err
		}
		in.plain = opened
		flags := in.plain[start+gap]
		if flags&^(flagMore|innerCommand) != 0 || flags == flagMore|innerCommand {
			return nothing, m, nil, curveError(fmt.Sprintf("inner flags %#02x", flags))
		}
		if flags == innerCommand {
			command = in.plain[start+gap+1:]
			in.plain = in.plain[:start]
			return aCommand, m, command, nil
		}
		g := frame{flags: flags, head: gap + 1, size: inner}
		if gap == 1 {
			in.plain[start], in.plain[start+1] = flags, byte(inner)
		} else {
			in.plain[start] = flags | flagLong
			binary.BigEndian.PutUint64(in.plain[start+1:], uint64(inner))
		}
		if err := in.part(g); err != nil {
			return nothing, m, nil, err
		}
		if flags&flagMore == 0 {
			return aMessage, in.message(in.plain), nil, nil
		}
	}
}
