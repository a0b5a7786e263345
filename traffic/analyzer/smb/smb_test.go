package smb_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/smb"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/value"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			table := analyzertest.Contents(rec, func(f *files.File, content string) string {
				total := "-"
				if f.HasTotal {
					total = fmt.Sprint(f.Total)
				}
				return fmt.Sprintf("file %q from orig %t: seen %d of %s, %d lost: %s", f.Name, f.Orig, f.Seen, total, f.Missing, content)
			})
			return smb.Factory(table)
		},
		Allocs: 200, // requests, trees and files with their names
		State:  64 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzSMB(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// notes is a connection that notes what is said of it.
type notes struct {
	analyzertest.Recorder
	said []string
}

func (n *notes) Weird(name, addl, _ string) { n.said = append(n.said, "weird "+name+" "+addl) }
func (n *notes) Confirm(service string)     { n.said = append(n.said, "confirm "+service) }
func (n *notes) Violation(name, why string, _ []byte) {
	n.said = append(n.said, "violation "+name+" "+why)
}

// message frames commands of SMB 2, one behind the other.
func message(commands ...[]byte) []byte {
	var all []byte
	for i, c := range commands {
		if i < len(commands)-1 {
			binary.LittleEndian.PutUint32(c[20:], uint32(len(c)))
		}
		all = append(all, c...)
	}
	return append([]byte{0, byte(len(all) >> 16), byte(len(all) >> 8), byte(len(all))}, all...)
}

func command(code uint16, message uint64, tree uint32, body []byte) []byte {
	b := make([]byte, 64, 64+len(body))
	copy(b, "\xfeSMB")
	binary.LittleEndian.PutUint16(b[4:], 64)
	binary.LittleEndian.PutUint16(b[12:], code)
	binary.LittleEndian.PutUint64(b[24:], message)
	binary.LittleEndian.PutUint32(b[36:], tree)
	return append(b, body...)
}

// create asks for a file by name.
func create(id uint64, name string) []byte {
	b := make([]byte, 56)
	binary.LittleEndian.PutUint16(b[44:], 64+56)
	binary.LittleEndian.PutUint16(b[46:], uint16(2*len(name)))
	for _, c := range []byte(name) {
		b = append(b, c, 0)
	}
	return command(5, id, 1, b)
}

// write writes to a file.
func write(id, file, offset uint64, data string) []byte {
	b := make([]byte, 48)
	binary.LittleEndian.PutUint16(b[2:], 64+48)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(data)))
	binary.LittleEndian.PutUint64(b[8:], offset)
	binary.LittleEndian.PutUint64(b[16:], file)
	return command(9, id, 1, append(b, data...))
}

// Requests without an answer do not pile up: all are forgotten at Zeek's limit,
// and a weird says so.
func TestPending(t *testing.T) {
	rec := &notes{}
	a := harness().Factory(&rec.Recorder).New(value.ProtoTCP)
	for i := range uint64(3500) {
		a.Deliver(rec, true, message(create(i, strings.Repeat("n", 100)), write(1<<20+i, i, 0, "x")))
	}
	n := 0
	for _, e := range rec.said {
		if strings.HasPrefix(e, "weird SMB_discarded_messages_state") {
			n++
		}
	}
	if n != 6 {
		t.Errorf("%d weirds of 7000 requests, want 6: %q", n, rec.said[:min(len(rec.said), 20)])
	}
	a.End(rec)
}

// What lies about its length is bad traffic, and reading begins again with the
// next message.
func TestLies(t *testing.T) {
	for name, spoil := range map[string]func(b []byte){
		"next command inside the header":  func(b []byte) { b[4+20] = 8 },
		"next command behind the message": func(b []byte) { b[4+22] = 1 },
		"data behind the message":         func(b []byte) { b[4+64+2] = 0xff },
		"data inside the header":          func(b []byte) { b[4+64+2] = 5 },
		"more data than there is":         func(b []byte) { b[4+64+4] = 0xff },
	} {
		t.Run(name, func(t *testing.T) {
			rec := &notes{}
			a := harness().Factory(&rec.Recorder).New(value.ProtoTCP)
			b := message(write(1, 7, 0, "hello"))
			spoil(b)
			a.Deliver(rec, true, b)
			if got := strings.Join(rec.said, "\n"); !strings.HasPrefix(got, "violation SMB") {
				t.Errorf("%q", got)
			}
			rec.said = nil
			a.Deliver(rec, true, message(create(2, "a.txt"), write(3, 8, 0, "hello")))
			a.Deliver(rec, true, message(create(4, "b.txt")))
			a.Deliver(rec, true, message(create(5, "c.txt")))
			a.End(rec)
			if got := strings.Join(rec.said, "\n"); !strings.HasPrefix(got, "confirm smb") {
				t.Errorf("%q", got)
			}
		})
	}
}
