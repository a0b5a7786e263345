package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/capture/pcapfile"
	"github.com/picket-nsm/picket/traffic/packet"
)

// frame makes a bare IP packet from host a to host b.
func frame(a, b byte, tcp bool, sport, dport uint16, seq uint32, flags byte, data string) []byte {
	proto, head := byte(packet.UDP), make([]byte, 8)
	if tcp {
		proto, head = packet.TCP, make([]byte, 20)
		binary.BigEndian.PutUint32(head[4:], seq)
		head[12], head[13] = 0x50, flags
	} else {
		binary.BigEndian.PutUint16(head[4:], uint16(8+len(data)))
	}
	binary.BigEndian.PutUint16(head, sport)
	binary.BigEndian.PutUint16(head[2:], dport)
	n := 20 + len(head) + len(data)
	ip := []byte{0x45, 0, byte(n >> 8), byte(n), 0, 0, 0, 0, 64, proto, 0, 0, 10, 0, 0, a, 10, 0, 0, b}
	return append(append(ip, head...), data...)
}

func talkOf(t *testing.T, text bool, port uint16, frames ...[]byte) string {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapfile.NewWriter(&b, packet.LinkRaw, pcapfile.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		if err := w.Write(packet.Time(i), f, len(f)); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.pcap"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := convert(&out, filepath.Join(dir, "x.pcap"), port, "Recorded.", text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x.txtar"), []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	analyzertest.Load(t, dir) // it is what the kit reads
	return out.String()
}

func TestStream(t *testing.T) {
	const fin, syn, ack, rst = 1, 2, 16, 4
	got := talkOf(t, true, 25,
		frame(1, 9, true, 4000, 24, 5, ack, "another port"),
		frame(1, 2, true, 4000, 25, 99, syn, ""), frame(2, 1, true, 25, 4000, 499, syn|ack, ""),
		frame(1, 2, true, 4000, 25, 100, ack, "one\r\ntwo"),
		frame(3, 2, true, 4000, 25, 108, ack, "another host"),
		frame(1, 2, true, 4000, 25, 100, ack, "one\r\ntwo"),
		frame(1, 2, true, 4000, 25, 105, ack, "two\x00\""),
		frame(2, 1, true, 25, 4000, 510, ack, "late"),
		frame(1, 2, true, 4000, 25, 110, ack|fin, ""), frame(2, 1, true, 25, 4000, 514, rst, ""))
	want := "Recorded.\n-- conn --\ntcp 192.0.2.1:4000 192.0.2.2:25\n-- turns --\n" +
		"> \"one\\r\\n\"\n  \"two\"\n> \"\\x00\\\"\"\ngap < 10\n< \"late\"\nclose >\nreset\n-- events --\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDatagrams(t *testing.T) {
	got := talkOf(t, false, 53, frame(1, 2, false, 4000, 53, 0, 0, strings.Repeat("a", 61)), frame(2, 1, false, 53, 4000, 0, 0, ""))
	want := "Recorded.\n-- conn --\nudp 192.0.2.1:4000 192.0.2.2:53\n-- turns --\n> " + strings.Repeat("61", 60) + "\n  61\n< \"\"\n-- events --\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
