// Talk makes a conversation for an analyzer's testdata of what was recorded from
// real programs: it takes the first connection with a port out of a capture file
// and writes it as analyzertest reads it.
//
//	tcpdump -i lo -w x.pcap port 1883      (wait 2 s before stopping it: packets may still be in the ring)
//	go run ./internal/talk -port 1883 -say 'Recorded: ...' x.pcap > traffic/analyzer/NAME/testdata/x.txtar
//
// It stands beside the data path and is no part of the product. It owns nothing.
// It never changes bytes but for addresses, which become those of RFC 5737.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/picket-nsm/picket/traffic/capture/pcapfile"
	"github.com/picket-nsm/picket/traffic/packet"
)

func main() {
	port := flag.Uint("port", 0, "port of one side; the connection's first packet with it begins the conversation")
	say := flag.String("say", "Recorded.", "what was recorded: names and versions of the programs")
	text := flag.Bool("text", false, "write lines of text in place of hexadecimal")
	flag.Parse()
	if flag.NArg() != 1 || *port == 0 || *port > 65535 {
		flag.Usage()
		os.Exit(2)
	}
	out := bufio.NewWriter(os.Stdout)
	err := convert(out, flag.Arg(0), uint16(*port), *say, *text)
	if err = errors.Join(err, out.Flush()); err != nil {
		fmt.Fprintln(os.Stderr, "talk:", err)
		os.Exit(1)
	}
}

// end is an address and a port.
type end struct {
	addr packet.Addr
	port uint16
}

// talk is the connection that is written.
type talk struct {
	out        io.Writer
	text       bool
	tcp        bool
	orig, resp end
	next       [2]uint32 // sequence numbers
	known      [2]bool
}

// convert writes the first connection with a port.
func convert(out io.Writer, file string, port uint16, say string, text bool) error {
	src, err := pcapfile.OpenAll([]string{file}, pcapfile.Options{Truncated: func(error) {}})
	if err != nil {
		return err
	}
	defer src.Close()
	var k *talk
	for {
		block, err := src.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for i := range block {
			f := &block[i]
			var p packet.Packet
			packet.Decode(&p, uint16(f.Link), f.Data, f.WireLen)
			from, to, ok := ends(&p)
			if !ok {
				continue
			}
			if k == nil {
				if from.port != port && to.port != port {
					continue
				}
				k = &talk{out: out, text: text, tcp: p.Proto == packet.TCP, orig: from, resp: to}
				k.begin(say)
			}
			if (p.Proto == packet.TCP) != k.tcp {
				continue
			}
			switch {
			case from == k.orig && to == k.resp:
				k.packet(0, p.Payload[:min(len(p.Payload), p.PayloadLen)])
			case from == k.resp && to == k.orig:
				k.packet(1, p.Payload[:min(len(p.Payload), p.PayloadLen)])
			}
		}
	}
	if k == nil {
		return fmt.Errorf("read %s: no packet has port %d", file, port)
	}
	fmt.Fprintln(out, "-- events --")
	return nil
}

// ends returns who sends a packet to whom.
func ends(p *packet.Packet) (from, to end, ok bool) {
	if p.IP == nil || p.IsFrag || p.Proto != packet.TCP && p.Proto != packet.UDP || len(p.Payload) < 8 {
		return from, to, false
	}
	return end{p.Src, binary.BigEndian.Uint16(p.Payload)}, end{p.Dst, binary.BigEndian.Uint16(p.Payload[2:])}, true
}

func (k *talk) begin(say string) {
	proto := "udp"
	if k.tcp {
		proto = "tcp"
	}
	fmt.Fprintf(k.out, "%s\n-- conn --\n%s 192.0.2.1:%d 192.0.2.2:%d\n-- turns --\n", say, proto, k.orig.port, k.resp.port)
}

// packet writes what a packet of a side (0: the originator) brings.
func (k *talk) packet(side int, b []byte) {
	mark := [2]byte{'>', '<'}[side]
	if !k.tcp {
		k.turn(mark, b[8:])
		return
	}
	if len(b) < 20 || len(b) < int(b[12]>>4)*4 || b[12]>>4 < 5 {
		return
	}
	const fin, syn, rst = 1, 2, 4
	seq, flags, data := binary.BigEndian.Uint32(b[4:]), b[13], b[int(b[12]>>4)*4:]
	switch {
	case flags&rst != 0:
		fmt.Fprintln(k.out, "reset")
		return
	case flags&syn != 0:
		k.next[side], k.known[side] = seq+1, true
		return
	case !k.known[side]:
		k.next[side], k.known[side] = seq, true
	}
	// Sent again, or missing in the capture.
	if ahead := int32(seq - k.next[side]); ahead > 0 {
		fmt.Fprintf(k.out, "gap %c %d\n", mark, ahead)
	} else if ahead < 0 {
		data = data[min(len(data), int(-ahead)):]
		seq = k.next[side]
		if len(data) == 0 && flags&fin == 0 {
			return
		}
	}
	if len(data) > 0 {
		k.turn(mark, data)
	}
	k.next[side] = seq + uint32(len(data))
	if flags&fin != 0 {
		k.next[side]++
		fmt.Fprintf(k.out, "close %c\n", mark)
	}
}

// turn writes bytes, as lines of text or 60 in a line.
func (k *talk) turn(mark byte, b []byte) {
	lead := string(mark) + " "
	if len(b) == 0 {
		fmt.Fprintf(k.out, "%s\"\"\n", lead)
	}
	for len(b) > 0 {
		n := min(len(b), 60)
		if k.text {
			n = min(len(b), 200)
			if i := slices.Index(b[:n], '\n'); i >= 0 {
				n = i + 1
			}
			fmt.Fprintf(k.out, "%s%s\n", lead, strconv.Quote(string(b[:n])))
		} else {
			fmt.Fprintf(k.out, "%s%s\n", lead, hex.EncodeToString(b[:n]))
		}
		lead, b = "  ", b[n:]
	}
}
