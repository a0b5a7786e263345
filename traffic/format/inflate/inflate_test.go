package inflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// unpack feeds in pieces of at most size bytes.
func unpack(f Format, in []byte, size int) ([]byte, Status) {
	d := new(Decoder)
	d.Reset(f)
	return unpackWith(d, in, size)
}

func unpackWith(d *Decoder, in []byte, size int) (all []byte, s Status) {
	for len(in) > 0 {
		p := in[:min(size, len(in))]
		in = in[len(p):]
		for len(p) > 0 {
			var out []byte
			var n int
			out, n, s = d.Next(p)
			all = append(all, out...)
			p = p[n:]
			if s != More {
				return all, s
			}
		}
	}
	// What is left of a copy when the input ended in the same step.
	for {
		out, _, st := d.Next(nil)
		all = append(all, out...)
		if len(out) == 0 || st != More {
			return all, st
		}
	}
}

// samples are texts of all kinds: empty, short, long, easy and hard to pack.
func samples() [][]byte {
	rnd := rand.New(rand.NewPCG(7, 8))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	var words bytes.Buffer
	for words.Len() < 300_000 {
		words.WriteString([]string{"alpha ", "beta ", "gamma\n", "delta, ", "epsilon ", "<html>", "0123456789"}[rnd.IntN(7)])
		if rnd.IntN(20) == 0 {
			words.WriteByte(byte(rnd.Uint32()))
		}
	}
	return [][]byte{nil, []byte("a"), []byte("hello, hello, hello"), bytes.Repeat([]byte("x"), 200_000), noise, words.Bytes(),
		append(append([]byte{}, words.Bytes()[:40_000]...), noise[:40_000]...)}
}

func pack(t testing.TB, format string, level int, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch format {
	case "gzip":
		gz, e := gzip.NewWriterLevel(&b, level)
		gz.Name, gz.Comment, gz.Extra = "name", "comment", []byte("extra")
		w, err = gz, e
	case "zlib":
		w, err = zlib.NewWriterLevel(&b, level)
	default:
		w, err = flate.NewWriter(&b, level)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFormats(t *testing.T) {
	for _, format := range []string{"gzip", "zlib", "raw"} {
		f := Auto
		if format == "raw" {
			f = Raw
		}
		for n, data := range samples() {
			for _, level := range []int{0, 1, 6, 9, -2} {
				in := pack(t, format, level, data)
				for _, size := range []int{1 << 30, 1, 7, 1460} {
					if size == 1 && len(in) > 100_000 {
						continue
					}
					got, s := unpack(f, in, size)
					if s != End || !bytes.Equal(got, data) {
						t.Fatalf("%s sample %d level %d pieces of %d: status %d, %d bytes, want %d", format, n, level, size, s, len(got), len(data))
					}
				}
			}
		}
	}
}

// What is cut is unpacked as far as it goes, and a Decoder can be used again.
func TestCut(t *testing.T) {
	data := samples()[2]
	in := pack(t, "gzip", 6, data)
	d := new(Decoder)
	for n := range in {
		d.Reset(Auto)
		got, s := unpackWith(d, in[:n], 3)
		if s != More || !bytes.HasPrefix(data, got) {
			t.Fatalf("cut at %d: status %d, %q", n, s, got)
		}
	}
}

func TestCorrupt(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	gz := pack(t, "gzip", 6, long)
	bad := bytes.Clone(gz)
	bad[len(bad)-5] ^= 1 // the sum
	for _, size := range []int{1 << 20, 1, 7} {
		if got, s := unpack(Auto, bad, size); s != Corrupt || !bytes.Equal(got, long) {
			t.Errorf("wrong sum: status %d, %d bytes", s, len(got))
		}
	}
	for name, in := range map[string]string{
		"no magic":         "<html>",
		"gzip method":      "\x1f\x8b\x07\x00",
		"gzip flags":       "\x1f\x8b\x08\xe0",
		"zlib dictionary":  "\x78\xbb",
		"block type":       "\x78\x9c\x07",
		"stored length":    "\x78\x9c\x01\x05\x00\x00\x00hello",
		"distance too far": "\x78\x9c\x4b\x04\x22\x00",
		"too many codes":   "\x78\x9c\xfd\xff\xff",
	} {
		for _, size := range []int{100, 1} {
			d := new(Decoder)
			d.Reset(Auto)
			if _, s := unpackWith(d, []byte(in), size); s != Corrupt {
				t.Errorf("%s: status %d", name, s)
			}
			if head := in[0] != 0x78 || in[1] == 0xbb; d.HeadBad() != head {
				t.Errorf("%s: head bad: %v", name, d.HeadBad())
			}
		}
	}
}

// reference unpacks with the standard library.
func reference(in []byte) ([]byte, error) {
	return io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(in)), 1<<22))
}

func FuzzRaw(f *testing.F) {
	for _, s := range samples()[:4] {
		f.Add(pack(f, "raw", 6, s), uint8(3))
		f.Add(pack(f, "raw", 0, s[:min(len(s), 1000)]), uint8(100))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		d := new(Decoder)
		d.Reset(Raw)
		var got []byte
		rest := in
		var s Status
		for len(rest) > 0 && s == More && len(got) < 1<<22 {
			p := rest[:min(int(size)+1, len(rest))]
			out, n, st := d.Next(p)
			got, s, rest = append(got, out...), st, rest[n:]
			if n == 0 && len(out) == 0 && st == More {
				t.Fatal("no progress")
			}
		}
		if len(got) >= 1<<22 {
			return
		}
		want, err := reference(in)
		switch {
		case s == End:
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, the library has %d and %v", len(got), len(want), err)
			}
		case err == nil && s == Corrupt:
			t.Fatal("corrupt, but the library reads it")
		case s == More && err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !corruptLater(err):
			t.Fatal(err)
		}
	})
}

// corruptLater: where input ends in the middle of a mistake, either may see it
// first.
func corruptLater(err error) bool {
	var c flate.CorruptInputError
	return errors.As(err, &c) || strings.Contains(err.Error(), "EOF")
}

func BenchmarkInflate(b *testing.B) {
	data := samples()[5]
	in := pack(b, "gzip", 6, data)
	d := new(Decoder)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for range b.N {
		d.Reset(Auto)
		for p := in; len(p) > 0; {
			chunk := p[:min(1460, len(p))]
			_, n, s := d.Next(chunk)
			if p = p[n:]; s != More {
				break
			}
		}
	}
}

func BenchmarkStd(b *testing.B) {
	data := samples()[5]
	in := pack(b, "gzip", 6, data)
	b.SetBytes(int64(len(data)))
	for range b.N {
		z, err := gzip.NewReader(bytes.NewReader(in))
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, z)
	}
}
