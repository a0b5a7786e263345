package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
)

// The journal of grants: docs/formats/claims.md.
//
//	"PKCLAIM1", then records: length u32, CRC-32C u32 of what follows, then
//	from f64, until f64, start u64, seq u64, length of producer u16, producer, key
//
// All big-endian. A record is written with one write before its claim is
// answered, so what a killed proxy has answered is in the file.
const (
	journalMagic = "PKCLAIM1"
	journalName  = "claims.journal"
	recordHead   = 8
	recordFixed  = 34
	maxRecord    = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendRecord(dst []byte, key string, g Grant) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, recordHead)...)
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(g.From))
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(g.Until))
	dst = binary.BigEndian.AppendUint64(dst, g.Start)
	dst = binary.BigEndian.AppendUint64(dst, g.Seq)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(g.Producer)))
	dst = append(append(dst, g.Producer...), key...)
	body := dst[at+recordHead:]
	binary.BigEndian.PutUint32(dst[at:], uint32(len(body)))
	binary.BigEndian.PutUint32(dst[at+4:], crc32.Checksum(body, castagnoli))
	return dst
}

// cutRecord reads the first record of b and its length. ok is false where b does
// not begin with a whole, sound record.
func cutRecord(b []byte) (key string, g Grant, n int, ok bool) {
	if len(b) < recordHead+recordFixed {
		return "", g, 0, false
	}
	size := binary.BigEndian.Uint32(b)
	if size < recordFixed || size > maxRecord || int(size) > len(b)-recordHead {
		return "", g, 0, false
	}
	body := b[recordHead : recordHead+int(size)]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return "", g, 0, false
	}
	names := body[recordFixed:]
	p := int(binary.BigEndian.Uint16(body[32:]))
	if p > len(names) {
		return "", g, 0, false
	}
	g = Grant{
		ID:    ID{Producer: string(names[:p]), Start: binary.BigEndian.Uint64(body[16:]), Seq: binary.BigEndian.Uint64(body[24:])},
		From:  math.Float64frombits(binary.BigEndian.Uint64(body)),
		Until: math.Float64frombits(binary.BigEndian.Uint64(body[8:])),
	}
	return string(names[p:]), g, recordHead + int(size), true
}

// journal is an open journal. One goroutine.
type journal struct {
	dir     string
	f       *os.File
	size    int64
	records int // in the file, live or not
	buf     []byte
}

// openJournal reads the journal in dir into t and writes it anew with what is
// still of use. cut is how many bytes at its end were not whole records.
func openJournal(dir string, t *Table) (j *journal, cut int64, err error) {
	j = &journal{dir: dir}
	b, err := os.ReadFile(j.path())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, 0, fmt.Errorf("read claims: %w", err)
	}
	if len(b) >= len(journalMagic) {
		if string(b[:len(journalMagic)]) != journalMagic {
			return nil, 0, fmt.Errorf("read claims: %s is not a journal of claims; move it away", j.path())
		}
		b = b[len(journalMagic):]
		for {
			key, g, n, ok := cutRecord(b)
			if !ok {
				break
			}
			t.put(key, g)
			b = b[n:]
		}
	}
	if err := j.compact(t); err != nil {
		return nil, 0, err
	}
	return j, int64(len(b)), nil
}

func (j *journal) path() string { return filepath.Join(j.dir, journalName) }

// compact writes a new journal of what t remembers and puts it in place of the old.
func (j *journal) compact(t *Table) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write claims: %w", err)
		}
	}()
	f, err := os.OpenFile(j.path()+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	fail := func(err error) error { return errors.Join(err, f.Close(), os.Remove(j.path()+".new")) }
	b, size := append(j.buf[:0], journalMagic...), int64(0)
	for i, q := range t.queue[t.head:] {
		b = appendRecord(b, q.key, q.g)
		if len(b) > 1<<20 || i == t.Len()-1 {
			if _, err := f.Write(b); err != nil {
				return fail(err)
			}
			size, b = size+int64(len(b)), b[:0]
		}
	}
	if len(b) > 0 { // an empty table
		if _, err := f.Write(b); err != nil {
			return fail(err)
		}
		size += int64(len(b))
	}
	if err := f.Sync(); err != nil {
		return fail(err)
	}
	if err := os.Rename(j.path()+".new", j.path()); err != nil {
		return fail(err)
	}
	if j.f != nil {
		_ = j.f.Close() // the old file is gone already
	}
	j.f, j.size, j.records, j.buf = f, size, t.Len(), b[:0]
	return nil
}

// note writes a grant. After an error the grant is not in the file.
func (j *journal) note(key string, g Grant) error {
	j.buf = appendRecord(j.buf[:0], key, g)
	if _, err := j.f.Write(j.buf); err != nil {
		// Half a record must not stand before the next one.
		_, e := j.f.Seek(j.size, io.SeekStart)
		return fmt.Errorf("write claims: %w", errors.Join(err, j.f.Truncate(j.size), e))
	}
	j.size += int64(len(j.buf))
	j.records++
	return nil
}

// stale says that most of a large file is of no use any more.
func (j *journal) stale(t *Table) bool { return j.records > 1<<16 && j.records > 4*t.Len() }

func (j *journal) close() error {
	if err := j.f.Close(); err != nil {
		return fmt.Errorf("close claims: %w", err)
	}
	return nil
}
