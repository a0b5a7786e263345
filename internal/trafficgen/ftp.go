package trafficgen

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
)

// FTPFiles is how many files a session of FTP moves.
const FTPFiles = 2

// FTP returns the frames of sessions of FTP, window of them under way at the same
// time. Each moves two files, over data connections between other hosts than the
// control connection's: it fetches one from an address that the server names, and
// has the server fetch one from a third host. So what belongs together is seen by
// other workers as soon as they share by addresses.
func FTP(sessions, window int) [][]byte {
	var frames [][]byte
	var open [][][]byte
	for n, turn := 0, 0; n < sessions || len(open) > 0; {
		for n < sessions && len(open) < window {
			open = append(open, ftpSession(n))
			n++
		}
		turn %= len(open)
		frames = append(frames, open[turn][0])
		if open[turn] = open[turn][1:]; len(open[turn]) == 0 {
			open = append(open[:turn], open[turn+1:]...)
			continue
		}
		turn++
	}
	return frames
}

// stream makes the segments of one TCP connection.
type stream struct {
	g   Generator
	f   Flow
	seq [2]uint32 // of originator and responder
	out *[][]byte
}

func newStream(out *[][]byte, orig, resp netip.AddrPort) *stream {
	s := &stream{f: Flow{Kind: TCP, Orig: orig, Resp: resp}, seq: [2]uint32{1000, 5000}, out: out}
	s.send(true, syn, nil)
	s.send(false, syn|ack, nil)
	s.send(true, ack, nil)
	return s
}

func (s *stream) send(orig bool, flags byte, data []byte) {
	me, peer := 0, 1
	if !orig {
		me, peer = 1, 0
	}
	acked := s.seq[peer]
	if flags&ack == 0 {
		acked = 0
	}
	*s.out = append(*s.out, bytes.Clone(s.g.segment(&s.f, orig, s.seq[me], acked, flags, data)))
	s.seq[me] += uint32(len(data))
	if flags&(syn|fin) != 0 {
		s.seq[me]++
	}
}

// say sends text in segments.
func (s *stream) say(orig bool, text string) {
	for len(text) > 0 {
		n := min(len(text), MSS)
		s.send(orig, ack|psh, []byte(text[:n]))
		s.send(!orig, ack, nil)
		text = text[n:]
	}
}

func (s *stream) close(orig bool) {
	s.send(orig, fin|ack, nil)
	s.send(!orig, fin|ack, nil)
	s.send(orig, ack, nil)
}

func ftpSession(n int) [][]byte {
	var out [][]byte
	host := func(net byte, port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, net, byte(n >> 8), byte(n)}), uint16(port))
	}
	arg := func(a netip.AddrPort) string {
		h := a.Addr().As4()
		return fmt.Sprintf("%d,%d,%d,%d,%d,%d", h[0], h[1], h[2], h[3], a.Port()>>8, a.Port()&255)
	}
	content := strings.Repeat(fmt.Sprintf("file %d, a line of text like all others\n", n), 150)
	client, server := host(20, 30000+n%30000), host(21, 21)
	c := newStream(&out, client, server)
	ask := func(command, reply string) {
		c.say(true, command+"\r\n")
		c.say(false, reply+"\r\n")
	}
	c.say(false, "220 ready\r\n")
	ask("USER anonymous", "331 password")
	ask("PASS me@example.org", "230 in")
	there := host(22, 40000)
	ask("PASV", "227 Entering Passive Mode ("+arg(there)+").")
	d := newStream(&out, netip.AddrPortFrom(client.Addr(), client.Port()+1), there)
	ask(fmt.Sprintf("RETR get-%d", n), "150 here it comes")
	d.say(false, content)
	d.close(false)
	c.say(false, "226 done\r\n")
	third := host(23, 40001)
	ask("PORT "+arg(third), "200 fine")
	c.say(true, fmt.Sprintf("STOR put-%d\r\n", n))
	d = newStream(&out, netip.AddrPortFrom(server.Addr(), 20), third)
	c.say(false, "150 go on\r\n")
	d.say(false, content[:3000])
	d.close(false)
	c.say(false, "226 done\r\n")
	ask("QUIT", "221 bye")
	c.close(false)
	return out
}
