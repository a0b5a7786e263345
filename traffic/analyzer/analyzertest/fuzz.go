package analyzertest

import (
	"encoding/binary"
	"testing"

	"github.com/picket-nsm/picket/zeek/value"
)

// Flags of a turn in the fuzzer's input: one byte, then two for the length.
const (
	fuzzOrig = 1 << iota
	fuzzGap
	fuzzClose
	fuzzReset
)

const fuzzTurns = 64

// Fuzz runs the analyzer on inputs made from the conversations. It must not
// panic or hang, and a stream must show the same events in single bytes.
func Fuzz(f *testing.F, h Harness) {
	for _, c := range h.conversations(f) {
		f.Add(c.Stream(), c.ID.OrigP, c.ID.RespP, fuzzInput(c))
	}
	f.Fuzz(func(t *testing.T, stream bool, origP, respP uint16, in []byte) {
		c := &Conversation{}
		c.ID.UID = "CFuzz"
		c.ID.Proto = value.ProtoUDP
		if stream {
			c.ID.Proto = value.ProtoTCP
		}
		c.ID.OrigP, c.ID.RespP = origP, respP
		c.ID.Orig[15], c.ID.Resp[15] = 1, 2
		for len(in) >= 3 && len(c.Turns) < fuzzTurns {
			flags, n := in[0], int(binary.BigEndian.Uint16(in[1:]))
			in = in[3:]
			turn := Turn{Orig: flags&fuzzOrig != 0}
			switch {
			case flags&fuzzGap != 0:
				turn.Gap = uint64(n) + 1
			case flags&fuzzClose != 0:
				turn.Close = true
			case flags&fuzzReset != 0:
				turn.Reset = true
			default:
				n = min(n, len(in))
				turn.Data, in = in[:n], in[n:]
			}
			c.Turns = append(c.Turns, turn)
		}
		k := h.talk()
		first := k.all(c, whole)
		compare(t, "again", first, k.all(c, whole))
		if stream {
			h.compareUntilViolation(t, "single bytes", first, k.all(c, 1))
		}
	})
}

// isViolation finds violations.
func isViolation(line string) bool { return len(line) > 10 && line[:10] == "violation " }

func fuzzInput(c *Conversation) []byte {
	var b []byte
	for _, t := range c.Turns {
		var flags byte
		if t.Orig {
			flags |= fuzzOrig
		}
		n := len(t.Data)
		switch {
		case t.Gap > 0:
			flags, n = flags|fuzzGap, int(min(t.Gap-1, 65535))
		case t.Reset:
			flags |= fuzzReset
		case t.Close:
			flags |= fuzzClose
		}
		b = append(b, flags, byte(n>>8), byte(n))
		b = append(b, t.Data...)
	}
	return b
}
