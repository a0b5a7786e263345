package record

import "encoding/binary"

// Part is a piece of a split batch: a batch with the same header.
type Part struct {
	Payload []byte
	Records int
}

// Split cuts a batch into parts of at most limit bytes with the same header,
// for a backend with a message limit. A batch that fits comes back as it is,
// unchecked beyond its header. tooLarge counts the records that do not fit
// even alone; they are in no part, and the caller counts them as dropped. The
// error is of kind ErrCorrupt.
func Split(payload []byte, limit int) (parts []Part, tooLarge int, err error) {
	c, err := Open(payload)
	if err != nil {
		return nil, 0, err
	}
	if len(payload) <= limit {
		return []Part{{payload, c.Records()}}, 0, nil
	}
	var cur []byte
	n := 0
	flush := func() {
		if n > 0 {
			binary.BigEndian.PutUint32(cur[len(c.head):], uint32(n))
			parts = append(parts, Part{cur, n})
		}
		cur, n = nil, 0
	}
	for from := c.at; c.Next(); from = c.at {
		row := c.rowBytes(from)
		if len(c.head)+4+len(row) > limit {
			tooLarge++
			continue
		}
		if n > 0 && len(cur)+len(row) > limit {
			flush()
		}
		if n == 0 {
			cur = make([]byte, 0, min(limit, len(payload)))
			cur = append(append(cur, c.head...), 0, 0, 0, 0)
		}
		cur = append(cur, row...)
		n++
	}
	flush()
	return parts, tooLarge, c.Err()
}
