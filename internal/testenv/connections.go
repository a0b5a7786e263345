package testenv

import (
	"encoding/binary"
	"os"
	"slices"
	"testing"
)

// Connection is one TCP connection of a recording: what each side sent.
type Connection struct {
	Port   int // the server's
	Client []byte
	Server []byte
}

// Connections reads the connections of a capture from loopback, where nothing is
// lost or reordered; what was sent again is seen by its sequence number. Those that
// nobody answered are left out.
func Connections(t testing.TB, file string) []*Connection {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type side struct {
		conn *Connection
		out  *[]byte
		next uint32
	}
	sides := map[[2]uint16]*side{}
	var all []*Connection
	for b = b[24:]; len(b) >= 16; {
		size := binary.LittleEndian.Uint32(b[8:])
		tcp := b[16+14+20 : 16+size]
		total := int(binary.BigEndian.Uint16(b[16+14+2:])) - 20
		b = b[16+size:]
		tcp = tcp[:total]
		from, to := binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:])
		seq := binary.BigEndian.Uint32(tcp[4:])
		flags, data := tcp[13], tcp[int(tcp[12]>>4)*4:]
		if flags&0x12 == 2 { // SYN
			c := &Connection{Port: int(to)}
			sides[[2]uint16{from, to}] = &side{c, &c.Client, seq + 1}
			sides[[2]uint16{to, from}] = &side{c, &c.Server, 0}
			all = append(all, c)
			continue
		}
		s := sides[[2]uint16{from, to}]
		if s == nil {
			t.Fatalf("%s: packet outside of a connection", file)
		}
		if flags&0x12 == 0x12 {
			s.next = seq + 1
			continue
		}
		if len(data) == 0 {
			continue
		}
		if seq == s.next {
			*s.out = append(*s.out, data...)
			s.next += uint32(len(data))
		} else if int32(s.next-seq) < int32(len(data)) {
			t.Fatalf("%s: gap in a connection", file)
		}
	}
	return slices.DeleteFunc(all, func(c *Connection) bool { return len(c.Server) == 0 }) // refused: nobody listened
}
