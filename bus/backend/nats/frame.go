package nats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/zeek/record"
)

// Formats on the wire: docs/formats/nats.md.

// The first byte of an event frame.
const (
	frameVersion = 1
	frameRelayed = 2 // with the id of the bridge that relayed it
	framePacked  = 2 // is added for several events of one topic, each with its length in front
)

// appendFrame appends what stands before the payload of an event: version,
// number, sender, codec, and who relayed it, if somebody did. Numbers of one sender
// rise, so that a message that came twice over changing subscriptions is seen once.
func appendFrame(dst []byte, num uint64, sender, codec, via string) []byte {
	version := byte(frameVersion)
	if via != "" {
		version = frameRelayed
	}
	dst = append(dst, version)
	dst = binary.BigEndian.AppendUint64(dst, num)
	dst = append(dst, byte(len(sender)), byte(len(codec)))
	if via != "" {
		dst = append(dst, byte(len(via)))
	}
	dst = append(dst, sender...)
	dst = append(dst, codec...)
	return append(dst, via...)
}

var errFrame = errors.New("not an event frame")

// cutFrame splits a frame. The parts are borrowed from b. num is that of the first
// event; packed: there may be several.
func cutFrame(b []byte) (num uint64, sender, codec, via, payload []byte, packed bool, err error) {
	head, relay := 11, 0
	if len(b) < 11 {
		return 0, nil, nil, nil, nil, false, errFrame
	}
	version := b[0]
	if packed = version > framePacked; packed {
		version -= framePacked
	}
	switch {
	case version == frameRelayed && len(b) > 11 && b[11] > 0:
		head, relay = 12, int(b[11])
	case version != frameVersion:
		return 0, nil, nil, nil, nil, false, errFrame
	}
	s := head + int(b[9])
	c := s + int(b[10])
	v := c + relay
	if len(b) < v {
		return 0, nil, nil, nil, nil, false, errFrame
	}
	return binary.BigEndian.Uint64(b[1:]), b[head:s], b[s:c], b[c:v], b[v:], packed, nil
}

// Headers of a batch.
const (
	hdrFormat   = "X-Zeek-Format"
	hdrProducer = "Picket-Producer"
	hdrStart    = "Picket-Start"
	hdrSeq      = "Picket-Sequence"
	hdrRecords  = "Picket-Records"
	hdrStream   = "Picket-Stream"
	hdrPath     = "Picket-Path"

	zeekBin = "zeek-bin-serializer"
	// unconfirmed is what is in an acknowledgement of a batch that was handed to a
	// real Zeek's logger.
	unconfirmed = "\x00unconfirmed"
	// headerRoom is kept free below the server's max_payload for the headers.
	headerRoom = 4096
)

// batchMsg returns the message that carries b to a logger. It keeps b's payload.
func (s subjects) batchMsg(logger string, b *record.Batch) (*nats.Msg, error) {
	m := &nats.Msg{
		Subject: s.logs + token(logger),
		Reply:   s.ack(logger, b.Producer, b.Start, b.Seq),
		Data:    b.Payload,
		Header: nats.Header{
			hdrFormat:   {zeekBin},
			hdrProducer: {token(b.Producer)},
			hdrStart:    {strconv.FormatUint(b.Start, 10)},
			hdrSeq:      {strconv.FormatUint(b.Seq, 10)},
			hdrRecords:  {strconv.Itoa(b.Records)},
			hdrStream:   {token(b.Stream)},
			hdrPath:     {token(b.Path)},
		},
	}
	n := 200 // names, numbers, line ends
	for _, v := range m.Header {
		n += len(v[0])
	}
	if n > headerRoom || len(m.Reply) > maxSubject {
		return nil, fmt.Errorf("headers of %d bytes: %w", n, backend.ErrTooLarge)
	}
	return m, nil
}

// batch undoes batchMsg.
func batch(m *nats.Msg) (*record.Batch, error) {
	var errs []error
	num := func(key string, bits int) uint64 {
		n, err := strconv.ParseUint(m.Header.Get(key), 10, bits)
		errs = append(errs, err)
		return n
	}
	text := func(key string) string {
		s, err := unescape(m.Header.Get(key))
		errs = append(errs, err)
		return s
	}
	if f := m.Header.Get(hdrFormat); f != zeekBin {
		return nil, fmt.Errorf("format %q", f)
	}
	b := &record.Batch{
		Producer: text(hdrProducer),
		Start:    num(hdrStart, 64),
		Seq:      num(hdrSeq, 64),
		Records:  int(num(hdrRecords, 31)),
		Stream:   text(hdrStream),
		Path:     text(hdrPath),
		Payload:  m.Data,
	}
	if b.Payload == nil {
		b.Payload = []byte{}
	}
	return b, errors.Join(errs...)
}

// ack is the subject of a batch's acknowledgement, and the batch's reply
// subject: when nobody listens, the server says so there.
func (s subjects) ack(logger, producer string, start, seq uint64) string {
	return s.acks + token(producer) + "." + strconv.FormatUint(start, 10) + "." + strconv.FormatUint(seq, 10) + "." + token(logger)
}

// ackOf reads an acknowledgement: all but the error is in the subject.
func (s subjects) ackOf(m *nats.Msg) (backend.Ack, error) {
	var a backend.Ack
	rest, ok := strings.CutPrefix(m.Subject, s.acks)
	part := strings.Split(rest, ".")
	if !ok || len(part) != 4 {
		return a, errSubject
	}
	var e [4]error
	a.Producer, e[0] = unescape(part[0])
	a.Start, e[1] = strconv.ParseUint(part[1], 10, 64)
	a.Seq, e[2] = strconv.ParseUint(part[2], 10, 64)
	a.Logger, e[3] = unescape(part[3])
	if a.Err = string(m.Data); m.Header.Get("Status") == "503" {
		a.Err = backend.NoListener
	}
	if a.Err == unconfirmed {
		a.Err, a.Unconfirmed = "", true
	}
	return a, errors.Join(e[:]...)
}

// loggerOf is the logger that a batch message goes to.
func (s subjects) loggerOf(m *nats.Msg) string {
	name, _ := unescape(strings.TrimPrefix(m.Subject, s.logs))
	return name
}
