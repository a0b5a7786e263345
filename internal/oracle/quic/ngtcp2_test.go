package quic

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// noted finds what ngtcp2's client logs of packets with long headers.
var noted = regexp.MustCompile(`pkt (tx|rx) pkn=\d+ dcid=0x([0-9a-f]*) scid=0x([0-9a-f]*) version=0x([0-9a-f]+) type=(\w+)`)

// TestNgtcp2 compares what ngtcp2's client logs of its packets. Both sides clear
// the fixed bit of many packets at random (RFC 9287): the analyzer, as Zeek,
// leaves those alone, so often only some of a conversation's packets are seen.
func TestNgtcp2(t *testing.T) {
	for _, name := range []string{"gtlsclient", "gtlsserver"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed (Debian: ngtcp2-client, ngtcp2-server)", name)
		}
	}
	for _, c := range []peer{
		{name: "ngtcp2-v1", hellos: []string{"client", "server"}},
		{name: "ngtcp2-retry", server: []string{"-V"}, hellos: []string{"client", "client", "server"}},
		{name: "ngtcp2-hello-retry", server: []string{"--groups=-GROUP-ALL:+GROUP-SECP384R1"}, hellos: []string{"client", "retry"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := 0
			for range 5 {
				if c.run(t) {
					whole++
				}
			}
			t.Logf("%d of 5 conversations had no cleared bit", whole)
		})
	}
}

// peer is how a server is started and which hellos are then seen.
type peer struct {
	name   string
	server []string
	hellos []string
}

// run has one conversation and reports whether all of it was seen.
func (c *peer) run(t *testing.T) bool {
	dir := t.TempDir()
	cert, _ := certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"key": {Type: "PRIVATE KEY", Bytes: key}, "cert": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		"index.html": {Type: "TEXT", Bytes: []byte("hello")},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addr := freePort(t)
	server := exec.Command("gtlsserver", append(slices.Clone(c.server), "-q", "-d", dir, "127.0.0.1", strconv.Itoa(addr.Port),
		filepath.Join(dir, "key"), filepath.Join(dir, "cert"))...)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { server.Process.Kill(); server.Wait() }()
	await(t, addr)
	relay, err := NewRelay(addr)
	if err != nil {
		t.Fatal(err)
	}
	out := request(t, []string{"--exit-on-all-streams-close", "127.0.0.1", strconv.Itoa(relay.Addr().Port), "https://localhost/index.html"})
	f := relay.Close()[0]
	got := look(f)
	compareNotes(t, got, out)
	if len(got.reasons) > 0 {
		t.Errorf("violations %q", got.reasons)
	}
	if got.discarded {
		return false
	}
	keep(t, c.name, "ngtcp2 with GnuTLS.", f, 8)
	if !slices.Equal(got.hellos, c.hellos) || !slices.Contains(got.names, "localhost") || got.protocols[0] != "h3" || !got.short {
		t.Errorf("hellos %q, names %q, protocols %q", got.hellos, got.names, got.protocols)
	}
	return true
}

// compareNotes looks for each packet in what the client logged, and where all was
// seen for each that it logged in what the analyzer saw.
func compareNotes(t *testing.T, got *sight, log []byte) {
	var notes [2][]string
	for _, m := range noted.FindAllSubmatch(log, -1) {
		kind := map[string]string{"Initial": "initial", "Handshake": "handshake", "Retry": "retry", "0RTT": "0RTT"}[string(m[5])]
		version, _ := strconv.ParseUint(string(m[4]), 16, 32)
		dcid, _ := hex.DecodeString(string(m[2]))
		scid, _ := hex.DecodeString(string(m[3]))
		side := 0
		if string(m[1]) == "tx" {
			side = 1
		}
		notes[side] = append(notes[side], header(kind, uint32(version), dcid, scid))
	}
	for side := range notes {
		seen := slices.Compact(slices.Sorted(slices.Values(got.packets[side])))
		want := slices.Compact(slices.Sorted(slices.Values(notes[side])))
		if got.discarded {
			want = slices.DeleteFunc(want, func(h string) bool { return !slices.Contains(seen, h) })
		}
		if !slices.Equal(seen, want) {
			t.Errorf("side %d\ngot  %q\nwant %q", side, seen, want)
		}
	}
}

// request runs the client and returns its log.
func request(t *testing.T, args []string) []byte {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "gtlsclient", args...).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("handshake has been confirmed")) {
		t.Fatalf("gtlsclient: %v\n%s", err, out)
	}
	return out
}

// await waits until somebody listens on a port. Listening there ourselves would be
// in the server's way.
func await(t *testing.T, addr *net.UDPAddr) {
	mark := fmt.Appendf(nil, "0100007F:%04X ", addr.Port)
	for range 2000 {
		if b, err := os.ReadFile("/proc/net/udp"); err != nil || bytes.Contains(b, mark) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("gtlsserver does not listen")
}

func freePort(t *testing.T) *net.UDPAddr {
	l, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.LocalAddr().(*net.UDPAddr)
}
