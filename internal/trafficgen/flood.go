package trafficgen

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Floods are what an attacker sends to fill a sensor's memory, by name. Each
// returns a function that gives frame after frame, n in all, then nil; a frame
// is valid until the next.
var Floods = map[string]func(n int) func() []byte{
	"half-open":      halfOpen,
	"fragments":      fragments,
	"holes":          holes,
	"endless header": endlessHeader,
	"many headers":   manyHeaders,
	"first bytes":    firstBytes,
}

// flow is the i-th connection of a flood to a port.
func flow(i int, port uint16) Flow {
	return Flow{
		N:    i,
		Orig: netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(30000+i%30000)),
		Resp: netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 16, 0, byte(i)}), port),
	}
}

// frames calls frame n times.
func frames(n int, frame func(g *Generator, i int) []byte) func() []byte {
	g, i := New(Config{}), -1
	return func() []byte {
		if i++; i >= n {
			return nil
		}
		return frame(g, i)
	}
}

// halfOpen is SYNs, each from another host.
func halfOpen(n int) func() []byte {
	return frames(n, func(g *Generator, i int) []byte {
		f := flow(i, 8888)
		return g.segment(&f, true, uint32(i), 0, syn, nil)
	})
}

// fragments is pieces of 8 bytes from the middle of datagrams that never become
// whole; 16 pieces each.
func fragments(n int) func() []byte {
	return frames(n, func(g *Generator, i int) []byte {
		f := flow(i/16, 7777)
		b, l4 := g.ip(&f, true, 17, 8)
		clear(l4)
		h := b[14:34]
		binary.BigEndian.PutUint16(h[4:], uint16(i/16))
		binary.BigEndian.PutUint16(h[6:], 0x2000|uint16(2*(i%16)+2)) // more to come; with holes
		h[10], h[11] = 0, 0
		binary.BigEndian.PutUint16(h[10:], checksum(h, 0))
		return b
	})
}

// conversation opens connection i/per and then sends what part returns as its
// per-2 further frames.
func conversation(n, per int, port uint16, part func(j int) (at uint32, data []byte)) func() []byte {
	return frames(n, func(g *Generator, i int) []byte {
		f := flow(i/per, port)
		switch j := i % per; j {
		case 0:
			return g.segment(&f, true, 0, 0, syn, nil)
		case 1:
			return g.segment(&f, false, 0, 1, syn|ack, nil)
		default:
			at, data := part(j - 2)
			return g.segment(&f, true, 1+at, 1, psh|ack, data)
		}
	})
}

// holes is connections with 30 segments of 1000 bytes, all behind a hole.
func holes(n int) func() []byte {
	data := make([]byte, 1000)
	return conversation(n, 32, 8888, func(j int) (uint32, []byte) { return 100 + uint32(j)*1000, data })
}

// endlessHeader is 64 HTTP requests at a time whose header lines never end.
func endlessHeader(n int) func() []byte {
	line := make([]byte, 1400)
	for i := range line {
		line[i] = 'a'
	}
	sent := map[int]int{}
	return frames(n, func(g *Generator, i int) []byte {
		k := i % 64
		f := flow(k, 80)
		j := sent[k]
		sent[k]++
		switch j {
		case 0:
			return g.segment(&f, true, 0, 0, syn, nil)
		case 1:
			return g.segment(&f, false, 0, 1, syn|ack, nil)
		case 2:
			copy(line, "GET / HTTP/1.1\r\nX: ")
		case 3:
			copy(line, "aaaaaaaaaaaaaaaaaaaaa")
		}
		return g.segment(&f, true, 1+uint32((j-2)*len(line)), 1, psh|ack, line)
	})
}

// manyHeaders is HTTP requests that stop in the middle of their eighth header
// segment, each with fields of its own.
func manyHeaders(n int) func() []byte {
	var at uint32
	return conversation(n, 10, 80, func(j int) (uint32, []byte) {
		b := []byte("GET /some/where HTTP/1.1\r\nHost: flood\r\n")
		if j == 0 {
			at = 0
		} else {
			b = b[:0]
		}
		for k := 0; len(b) < 1300; k++ {
			b = fmt.Appendf(b, "X-Field-%d-%d: %064d\r\n", j, k, k)
		}
		from := at
		at += uint32(len(b))
		return from, b
	})
}

// firstBytes is connections on ports of no protocol that begin with bytes that
// could still become several.
func firstBytes(n int) func() []byte {
	return conversation(n, 6, 9999, func(j int) (uint32, []byte) { return uint32(j) * 200, []byte(fmt.Sprintf("%-200s", "GET ")) })
}
