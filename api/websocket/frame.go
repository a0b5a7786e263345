package websocket

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
)

// chunk is the most that goes into one frame. A message that has more is sent in
// several, as Zeek does.
const chunk = 32 << 10

// Kinds of frames, and the mark of a message's last one (RFC 6455 section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
	final          = 0x80
)

// headRoom is what an unmasked frame's header takes at most, for less than a chunk.
const headRoom = 4

// putHeader writes the header of a frame with n bytes, n < 64 KiB, so that it
// ends where the room for it ends, and returns where it begins.
func putHeader(room []byte, first byte, n int) int {
	at := headRoom - 2
	if n > 125 {
		at = 0
		room[1] = 126
		binary.BigEndian.PutUint16(room[2:], uint16(n))
	} else {
		room[at+1] = byte(n)
	}
	room[at] = first
	return at
}

// textFrames makes frames of a text that stands behind headRoom free bytes. What
// it returns is not changed any more: all clients get the same bytes.
func textFrames(room []byte) []byte {
	text := room[headRoom:]
	if len(text) <= chunk {
		return room[putHeader(room, final|opText, len(text)):]
	}
	out := make([]byte, 0, len(text)+headRoom*(1+len(text)/chunk))
	for op := byte(opText); len(text) > 0; op = opContinuation {
		n := min(chunk, len(text))
		if n == len(text) {
			op |= final
		}
		var head [headRoom]byte
		out = append(out, head[putHeader(head[:], op, n):]...)
		out = append(out, text[:n]...)
		text = text[n:]
	}
	return out
}

// controlFrame makes a ping or pong; payload has at most 125 bytes.
func controlFrame(op byte, payload []byte) []byte {
	return append([]byte{final | op, byte(len(payload))}, payload...)
}

// wire is a client's connection. Two write to it: the client's writer, frames of
// messages, and the library, one control frame at a time; a lock keeps frames
// whole. It remembers the close frame, after which nothing else may be sent.
type wire struct {
	net.Conn
	reads atomic.Uint64 // how often something came in
	sent  atomic.Uint64 // how often something went out
	mu    sync.Mutex
	bye   closing // that was sent
	said  bool
}

// Read notes that the client is alive.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.reads.Add(1)
	}
	return n, err
}

// Write is the library's, for control frames.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(p) >= 2 && p[0]&0x0f == opClose && !w.said {
		w.said = true
		if len(p) >= 4 {
			w.bye = closing{code: int(binary.BigEndian.Uint16(p[2:])), reason: string(p[4:])}
		}
	}
	return w.Conn.Write(p)
}

// send writes whole frames of messages.
func (w *wire) send(frames []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said {
		return net.ErrClosed
	}
	_, err := w.Conn.Write(frames)
	if err == nil {
		w.sent.Add(1)
	}
	return err
}

// goodbye returns the close frame that was sent, if one was.
func (w *wire) goodbye() (closing, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bye, w.said
}
