package websocket_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/bus/backend"
)

// raw is a client that sends and sees frames as they are.
type raw struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (w *world) address() string { return w.base[strings.Index(w.base, "//")+2:] }

const handshake = "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"

func dialRaw(t testing.TB, w *world, path string, headers ...string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", w.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(3 * patience))
	fmt.Fprintf(c, handshake, path, strings.Join(append(headers, ""), "\r\n"))
	r := &raw{t, c, bufio.NewReader(c)}
	resp, err := http.ReadResponse(r.r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v %v", resp, err)
	}
	if e := resp.Header.Get("Sec-WebSocket-Extensions"); e != "" {
		t.Errorf("extension %s", e)
	}
	return r
}

// write sends a masked frame; first is flags and opcode.
func (r *raw) write(first byte, payload []byte) {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	_, _ = r.Write(b) // an error shows when we read
}

// frame reads one; it must not be masked.
func (r *raw) frame() (first byte, payload []byte) {
	r.t.Helper()
	first, payload, err := r.next()
	if err != nil {
		r.t.Fatalf("no frame: %v", err)
	}
	return first, payload
}

func (r *raw) next() (first byte, payload []byte, err error) { return r.nextInto(nil) }

// nextInto is next with the payload in memory that was used before, if it fits.
func (r *raw) nextInto(buf []byte) (first byte, payload []byte, err error) {
	var h [8]byte
	if _, err = io.ReadFull(r.r, h[:2]); err != nil {
		return 0, nil, err
	}
	first = h[0]
	n := int(h[1])
	switch n {
	case 126:
		_, err = io.ReadFull(r.r, h[:2])
		n = int(binary.BigEndian.Uint16(h[:2]))
	case 127:
		_, err = io.ReadFull(r.r, h[:8])
		n = int(binary.BigEndian.Uint64(h[:8]))
	}
	if err != nil {
		return first, nil, err
	}
	if n > 1<<26 {
		return first, nil, fmt.Errorf("frame of %d bytes", n)
	}
	payload = slices.Grow(buf[:0], n)[:n]
	_, err = io.ReadFull(r.r, payload)
	return first, payload, err
}

// end reads until the connection ends and says how.
func (r *raw) end() string {
	for {
		first, b, err := r.next()
		if err != nil {
			return err.Error()
		}
		if first == 0x88 && len(b) >= 2 {
			return fmt.Sprintf("%d %s", binary.BigEndian.Uint16(b), b[2:])
		}
	}
}

// try makes a handshake that is not expected to succeed.
func (w *world) try(header http.Header) (status int, body string) {
	w.t.Helper()
	req, err := http.NewRequest("GET", strings.Replace(w.base, "ws", "http", 1)+websocket.PathV1, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for k, v := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "13",
	} {
		req.Header.Set(k, v)
	}
	for k, v := range header {
		if k == "Host" {
			req.Host = v[0]
			continue
		}
		req.Header[k] = v
	}
	tr := &http.Transport{TLSClientConfig: w.tls}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp.StatusCode, ""
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	return resp.StatusCode, strings.TrimSpace(string(b))
}

var _ backend.Events = (*recorder)(nil)
