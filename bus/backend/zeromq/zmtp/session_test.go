package zmtp

import (
	"bytes"
	"testing"

	"golang.org/x/crypto/nacl/secretbox"
)

// TestSessionIsSecretbox compares the session's boxes with NaCl's, at every
// length around the blocks of its parts.
func TestSessionIsSecretbox(t *testing.T) {
	shared := [32]byte{1, 2, 3, 250}
	client, server := newSession(shared, false, 2, 1), newSession(shared, true, 1, 2)
	text := bytes.Repeat([]byte("0123456789abcdef!"), 20000)
	for size := 1; size < 70000; size++ {
		if size > 700 {
			size += 997
		}
		plain := text[size%17:][:size]
		frame := client.seal(nil, plain)
		f, ok, err := parseHeader(frame, len(frame))
		if !ok || err != nil || f.flags&^flagLong != 0 || f.head+f.size != len(frame) {
			t.Fatalf("size %d: frame %+v of %d bytes, %v", size, f, len(frame), err)
		}
		body := frame[f.head:]
		nonce := shortNonce("CurveZMQMESSAGEC", client.sent)
		want := secretbox.Seal(append([]byte("\x07MESSAGE"), nonce[16:]...), plain, &nonce, &shared)
		if !bytes.Equal(body, want) {
			t.Fatalf("size %d: another box than NaCl's", size)
		}
		spoiled := bytes.Clone(body)
		spoiled[16+size%(len(body)-16)] ^= 4
		if out, err := server.unseal([]byte("before"), spoiled); err == nil || string(out) != "before" {
			t.Fatalf("size %d: a spoiled box opens", size)
		}
		out, err := server.unseal([]byte("before"), body)
		if err != nil || string(out[:6]) != "before" || !bytes.Equal(out[6:], plain) {
			t.Fatalf("size %d: %v", size, err)
		}
		if _, err := server.unseal(nil, body); err == nil {
			t.Fatalf("size %d: a box opens twice", size)
		}
		nonce = shortNonce("CurveZMQMESSAGES", uint64(size)+10)
		body = secretbox.Seal(append([]byte("\x07MESSAGE"), nonce[16:]...), plain, &nonce, &shared)
		if out, err := client.unseal(nil, body); err != nil || !bytes.Equal(out, plain) {
			t.Fatalf("size %d: NaCl's box does not open: %v", size, err)
		}
	}
}
