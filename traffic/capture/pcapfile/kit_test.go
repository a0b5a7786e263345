package pcapfile

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/capture/capturetest"
)

// pcap writes frames, all of the first one's link type.
func pcap(t testing.TB, fr []capture.Frame, o WriterOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	link := capture.LinkType(1)
	if len(fr) > 0 {
		link = fr[0].Link
	}
	w, err := NewWriter(&b, link, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range fr {
		if err := w.Write(fr[i].Time, fr[i].Data, fr[i].WireLen); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// ngOptions chooses a kind of pcapng.
type ngOptions struct {
	big    bool
	res    byte  // if_tsresol, 0 for none
	offset int64 // if_tsoffset
	old    bool  // packet blocks of the obsolete kind
	extra  bool  // other blocks in between, large ones too
}

// ng writes frames as pcapng, with an interface for each link type.
func ng(fr []capture.Frame, o ngOptions) []byte {
	var e binary.AppendByteOrder = binary.LittleEndian
	if o.big {
		e = binary.BigEndian
	}
	var out []byte
	block := func(typ uint32, body []byte) {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		n := uint32(len(body) + 12)
		out = e.AppendUint32(e.AppendUint32(out, typ), n)
		out = e.AppendUint32(append(out, body...), n)
	}
	section := e.AppendUint32(nil, magicSection)
	section = e.AppendUint16(e.AppendUint16(section, 1), 0)
	section = e.AppendUint64(section, math.MaxUint64)
	block(blockSection, section)
	units := uint64(1e6)
	if o.res != 0 {
		units, _ = resolution(o.res)
	}
	ids := map[capture.LinkType]uint32{}
	for i := range fr {
		f := &fr[i]
		id, ok := ids[f.Link]
		if !ok {
			id = uint32(len(ids))
			ids[f.Link] = id
			body := e.AppendUint16(e.AppendUint16(nil, uint16(f.Link)), 0)
			body = e.AppendUint32(body, 0)
			body = append(e.AppendUint16(e.AppendUint16(body, 2), 3), "if0\x00"...)
			if o.res != 0 {
				body = append(e.AppendUint16(e.AppendUint16(body, 9), 1), o.res, 0, 0, 0)
			}
			if o.offset != 0 {
				body = e.AppendUint64(e.AppendUint16(e.AppendUint16(body, 14), 8), uint64(o.offset))
			}
			block(blockInterface, e.AppendUint16(e.AppendUint16(body, 0), 0))
		}
		sec := math.Floor(float64(f.Time))
		micro := uint64(math.Round((float64(f.Time) - sec) * 1e6))
		ts := uint64(int64(sec)-o.offset)*units + uint64(math.Ceil(float64(micro)*float64(units)/1e6))
		var body []byte
		typ := uint32(blockEnhanced)
		if o.old {
			typ = blockPacket
			body = e.AppendUint16(e.AppendUint16(nil, uint16(id)), 0xffff)
		} else {
			body = e.AppendUint32(nil, id)
		}
		body = e.AppendUint32(e.AppendUint32(body, uint32(ts>>32)), uint32(ts))
		body = e.AppendUint32(e.AppendUint32(body, uint32(len(f.Data))), uint32(f.WireLen))
		body = append(body, f.Data...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		if i%3 == 0 {
			body = append(e.AppendUint16(e.AppendUint16(body, 1), 5), "hello\x00\x00\x00\x00\x00\x00\x00"...)
		}
		block(typ, body)
		if o.extra && i%100 == 0 {
			block(5, make([]byte, 16))
		}
		if o.extra && i == 150 {
			block(10, make([]byte, 3<<20))
		}
	}
	return out
}

func gz(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}

func zst(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(b, nil)
}

// open writes a file and opens it.
func open(t testing.TB, b []byte) *Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestKit runs the kit over every kind of file.
func TestKit(t *testing.T) {
	classic := func(o WriterOptions, pack func([]byte) []byte) capturetest.Harness {
		return func(t testing.TB, fr []capture.Frame) capture.Source {
			return open(t, pack(pcap(t, fr, o)))
		}
	}
	modern := func(o ngOptions, pack func([]byte) []byte) capturetest.Harness {
		return func(t testing.TB, fr []capture.Frame) capture.Source {
			return open(t, pack(ng(fr, o)))
		}
	}
	plain := func(b []byte) []byte { return b }
	for _, c := range []struct {
		name  string
		h     capturetest.Harness
		links bool
	}{
		{"pcap", classic(WriterOptions{}, plain), false},
		{"pcap big nano", classic(WriterOptions{Big: true, Nano: true}, plain), false},
		{"pcap gzip", classic(WriterOptions{Nano: true}, gz), false},
		{"pcap zstd", classic(WriterOptions{Big: true}, zst), false},
		{"pcapng", modern(ngOptions{}, plain), true},
		{"pcapng big nano", modern(ngOptions{big: true, res: 9, extra: true}, plain), true},
		{"pcapng binary time", modern(ngOptions{res: 0x80 | 30, offset: 1000000000}, plain), true},
		{"pcapng old blocks gzip", modern(ngOptions{old: true, res: 6, offset: -5}, gz), true},
		{"pcapng zstd", modern(ngOptions{big: true, extra: true, old: true}, zst), true},
		{"pipe", func(t testing.TB, fr []capture.Frame) capture.Source {
			r, w := io.Pipe()
			b := pcap(t, fr, WriterOptions{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				for len(b) > 0 {
					n, err := w.Write(b[:min(len(b), 777)])
					if err != nil {
						return
					}
					b = b[n:]
				}
				w.Close()
			}()
			s, err := Open("-", Options{Stdin: r})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close(); <-done })
			return s
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			capturetest.Run(t, c.h, capturetest.Features{Links: c.links})
		})
	}
}
