package zeromq

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/zeek/record"
)

// What batches look like: docs/formats/zeromq.md. A real Zeek's first frame is
// logWrite; between Picket nodes the envelope follows it there. A Zeek logger
// would not mind, as it does not look at that frame, but is never sent one.
const (
	logWrite = "log-write"
	zeekBin  = "zeek-bin-serializer"

	envelopeVersion = 1
)

// Commands between Picket nodes, from a logger to its producers.
const (
	commandAck = "X-PICKET-ACK" // a batch is written, or never will be
	commandEnd = "X-PICKET-END" // how many batches of this connection were taken: no more will be
)

// propertyLogger is what a Picket logger's PULL says in its handshake.
const propertyLogger = "X-Picket-Logger"

var errEnvelope = errors.New("not an envelope")

// appendEnvelope appends the first frame of a batch with its envelope.
func appendEnvelope(dst []byte, b *record.Batch) []byte {
	dst = append(dst, logWrite...)
	dst = append(dst, 0, envelopeVersion)
	dst = binary.BigEndian.AppendUint64(dst, b.Start)
	dst = binary.BigEndian.AppendUint64(dst, b.Seq)
	dst = binary.BigEndian.AppendUint32(dst, uint32(b.Records))
	for _, s := range []string{b.Producer, b.Stream, b.Path} {
		dst = appendText(dst, s)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if len(b) < n {
		return "", nil, false
	}
	return string(b[2:n]), b[n:], true
}

// parseEnvelope undoes appendEnvelope, all but the payload.
func parseEnvelope(frame []byte) (*record.Batch, error) {
	const head = len(logWrite) + 2 + 8 + 8 + 4
	if len(frame) < head || string(frame[:len(logWrite)]) != logWrite || frame[len(logWrite)] != 0 {
		return nil, errEnvelope
	}
	if v := frame[len(logWrite)+1]; v != envelopeVersion {
		return nil, fmt.Errorf("%w: version %d", errEnvelope, v)
	}
	n := frame[len(logWrite)+2:]
	b := &record.Batch{Start: binary.BigEndian.Uint64(n), Seq: binary.BigEndian.Uint64(n[8:]), Records: int(binary.BigEndian.Uint32(n[16:]) & math.MaxInt32)}
	rest, ok := n[20:], true
	for _, s := range []*string{&b.Producer, &b.Stream, &b.Path} {
		if *s, rest, ok = cutText(rest); !ok {
			return nil, errEnvelope
		}
	}
	if len(rest) > 0 {
		return nil, errEnvelope
	}
	return b, nil
}

// appendAck appends the data of an acknowledgement.
func appendAck(dst []byte, a backend.Ack) []byte {
	dst = binary.BigEndian.AppendUint64(dst, a.Start)
	dst = binary.BigEndian.AppendUint64(dst, a.Seq)
	for _, s := range []string{a.Producer, a.Logger, a.Err} {
		dst = appendText(dst, s)
	}
	return dst
}

// parseAck undoes appendAck.
func parseAck(b []byte) (a backend.Ack, ok bool) {
	if len(b) < 16 {
		return a, false
	}
	a.Start, a.Seq = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	rest := b[16:]
	for _, s := range []*string{&a.Producer, &a.Logger, &a.Err} {
		if *s, rest, ok = cutText(rest); !ok {
			return a, false
		}
	}
	return a, len(rest) == 0
}
