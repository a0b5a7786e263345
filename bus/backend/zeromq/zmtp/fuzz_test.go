package zmtp

import (
	"bytes"
	"net"
	"slices"
	"testing"
	"time"
)

// randReader is chance that is always the same.
type randReader struct{}

func (randReader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i*7 + len(b))
	}
	return len(b), nil
}

func fixedCurve() (server, client *Curve) {
	s, c := Secret{1, 2, 3}, Secret{4, 5, 6}
	return &Curve{Server: true, Secret: s, Clients: []Key{c.Public()}}, &Curve{Secret: c, ServerKey: s.Public()}
}

func FuzzGreeting(f *testing.F) {
	f.Add(rawGreeting(0, mechNull))
	f.Add(rawGreeting(1, mechCurve))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := parseGreeting(b)
		if err == nil && len(g.mechanism) > 20 {
			t.Errorf("mechanism %q", g.mechanism)
		}
		if checkSignature(b) != nil && err == nil {
			t.Error("a greeting with a wrong start")
		}
	})
}

// FuzzFrames compares what comes of bytes in one piece and in small ones.
func FuzzFrames(f *testing.F) {
	f.Add(appendMessage(nil, [][]byte{[]byte("a"), nil, bytes.Repeat([]byte("x"), 300)}), 3)
	f.Add(slices.Concat(appendFrame(nil, flagMore, []byte("a")), appendPing(nil, 1), appendFrame(nil, 0, []byte("b"))), 1)
	f.Add(appendSubscription(appendError(nil, "x"), true, true, "topic"), 2)
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 1, 'x'}, 5)
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		all := func(piece int) (out [][]byte) {
			l := newScript(b, piece)
			l.in.maxMessage = 1000
			for {
				k, m, c, err := l.in.next()
				switch {
				case err != nil:
					return append(out, []byte("error"))
				case k == aMessage:
					if n := wholeLen(m); n != len(m.wire) {
						t.Fatalf("parts need %d bytes, message has %d", n, len(m.wire))
					}
					out = append(out, bytes.Clone(m.wire))
				case k == aCommand:
					out = append(out, bytes.Clone(c))
				default:
					if l.in.fill(l.conn) != nil {
						return out
					}
				}
			}
		}
		if piece < 1 {
			piece = 1
		}
		if whole, pieces := all(1<<20), all(piece); !slices.EqualFunc(whole, pieces, bytes.Equal) {
			t.Errorf("in one piece %q, in pieces %q", whole, pieces)
		}
	})
}

// wholeLen is the length of a message's frames by their headers.
func wholeLen(m Message) int {
	at := 0
	for at < len(m.wire) {
		h, ok, err := parseHeader(m.wire[at:], 1<<30)
		if !ok || err != nil {
			return -1
		}
		at += h.head + h.size
	}
	return at
}

func FuzzCommand(f *testing.F) {
	f.Add([]byte("\x05READY\x0bSocket-Type\x00\x00\x00\x04XPUB"))
	f.Add([]byte("\x05ERROR\x03400"))
	f.Add([]byte("\x04PING\x00\x00abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, data, err := parseCommand(b)
		if err != nil {
			return
		}
		if again := appendCommand(nil, name, data); !bytes.HasSuffix(again, b) {
			t.Errorf("%x becomes %x", b, again)
		}
		_, _, _ = parseMetadata(data)
		_, _ = pingContext(data)
		_ = errorReason(data)
	})
}

// FuzzCurveServer lets a stranger say anything to a server, and to one that the
// stranger has greeted well.
func FuzzCurveServer(f *testing.F) {
	server, client := fixedCurve()
	hello, initiate := goodCurve(f, server, client)
	f.Add(hello, initiate)
	f.Add(hello, hello)
	f.Add(initiate[:100], []byte{})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s, err := newCurveServer(server, randReader{})
		if err != nil {
			t.Fatal(err)
		}
		if s.hello(first) != nil {
			return
		}
		if _, err := s.welcome(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.initiate(second); err == nil && s.client != client.Secret.Public() {
			t.Error("a client without its secret key got in")
		}
	})
}

// FuzzCurveClient lets a server say anything, well sealed or not. The keys are
// made once: what is to be found is behind them, and they cost more than the rest.
func FuzzCurveClient(f *testing.F) {
	server, client := fixedCurve()
	s, err := newCurveServer(server, randReader{})
	if err != nil {
		f.Fatal(err)
	}
	fresh, err := newCurveClient(client, randReader{})
	if err != nil {
		f.Fatal(err)
	}
	if err := s.hello(fresh.hello()); err != nil {
		f.Fatal(err)
	}
	welcome, err := s.welcome()
	if err != nil {
		f.Fatal(err)
	}
	welcomed := *fresh
	if err := welcomed.welcome(welcome); err != nil {
		f.Fatal(err)
	}
	metadata := appendMetadata(nil, &Config{Type: PULL})
	ready, _ := s.ready(metadata)
	const rawWelcome, rawReady, sealed = 0, 1, 2
	f.Add(byte(rawWelcome), welcome, ready)
	f.Add(byte(rawWelcome), appendCommand(nil, "ERROR", []byte("\x03400")), []byte{})
	f.Add(byte(rawReady), ready, []byte{})
	f.Add(byte(rawReady), appendCommand(nil, "ERROR", []byte("\x03400")), []byte{})
	f.Add(byte(sealed), metadata, []byte("\x00topic"))
	f.Add(byte(sealed), appendMetadata(nil, &Config{Type: XPUB, Properties: []Property{{"X-A", "1"}}}), []byte("\x02\x04PING\x00\x00"))
	f.Fuzz(func(t *testing.T, what byte, first, second []byte) {
		switch what % 3 {
		case rawWelcome:
			c := *fresh
			if c.welcome(first) == nil && !bytes.Equal(first, welcome) {
				t.Error("a WELCOME that the server has not sealed is taken")
			}
		case rawReady:
			c := welcomed
			if _, _, err := c.ready(first); err == nil && !bytes.Equal(first, ready) {
				t.Error("a READY that the server has not sealed is taken")
			}
		case sealed:
			if len(first) > maxCommand-readyMinimum {
				return
			}
			body, theirs := s.ready(first)
			c := welcomed
			got, ours, err := c.ready(body)
			if err != nil || !bytes.Equal(got, first) {
				t.Fatalf("READY of %x: %x, %v", first, got, err)
			}
			_, _, _ = parseMetadata(got)
			if len(second) == 0 {
				return
			}
			if _, err := ours.unseal(nil, second); err == nil {
				t.Error("a MESSAGE that the server has not sealed is taken")
			}
			frame := theirs.seal(nil, second)
			h, ok, err := parseHeader(frame, 1<<30)
			if !ok || err != nil {
				t.Fatalf("frame %x: %v", frame, err)
			}
			plain, err := ours.unseal(nil, frame[h.head:])
			if err != nil || !bytes.Equal(plain, second) {
				t.Fatalf("MESSAGE of %x: %x, %v", second, plain, err)
			}
			if _, err := ours.unseal(nil, frame[h.head:]); err == nil {
				t.Error("a MESSAGE is taken twice")
			}
		}
	})
}

// goodCurve returns what a good client says.
func goodCurve(t testing.TB, server, client *Curve) (hello, initiate []byte) {
	t.Helper()
	s, err := newCurveServer(server, randReader{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCurveClient(client, randReader{})
	if err != nil {
		t.Fatal(err)
	}
	hello = c.hello()
	if err := s.hello(hello); err != nil {
		t.Fatal(err)
	}
	welcome, err := s.welcome()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.welcome(welcome); err != nil {
		t.Fatal(err)
	}
	if initiate, err = c.initiate(appendMetadata(nil, &Config{Type: PUSH})); err != nil {
		t.Fatal(err)
	}
	return hello, initiate
}

// FuzzSession lets a stranger say anything on an encrypted connection.
func FuzzSession(f *testing.F) {
	key := [32]byte{9}
	seal := func(plains ...string) (b []byte) {
		s := newSession(key, false, 2, 1)
		for _, p := range plains {
			b = s.seal(b, []byte(p))
		}
		return b
	}
	f.Add(seal("\x01a", "\x02\x04PING\x00\x00", "\x00b"))
	f.Add(seal("\x03x"))
	f.Add(appendError(nil, "400"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := newScript(b, 1<<20)
		l.in.session = newSession(key, true, 1, 2)
		for {
			k, m, _, err := l.in.next()
			if err != nil || k == nothing && l.in.fill(l.conn) != nil {
				return
			}
			if k == aMessage && wholeLen(m) != len(m.wire) {
				t.Fatal("message does not fit its frames")
			}
		}
	})
}

// TestCurveSpoiled changes each byte of the handshake, in both directions; cut
// ones are FuzzCurveServer's and TestTruncated's.
func TestCurveSpoiled(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand handshakes")
	}
	server, client := testCurve(t)
	for _, who := range []string{"client", "server"} {
		good := talk(t, server, client, who, -1, 0)
		if good.err != nil {
			t.Fatal(good.err)
		}
		for at := greetingSize; at < good.bytes; at += 3 {
			if padding := greetingSize + 2 + 8; who == "client" && at >= padding && at < padding+72 {
				continue // HELLO's padding, which nobody looks at
			}
			if r := talk(t, server, client, who, at, 0x40); r.err == nil {
				t.Errorf("byte %d of %d from the %s may be anything", at, good.bytes, who)
			}
		}
	}
}

type talkResult struct {
	bytes int
	err   error
}

// talk runs a handshake in which one byte that who says is changed.
func talk(t *testing.T, server, client *Curve, who string, at int, flip byte) talkResult {
	t.Helper()
	limit := aim
	if at >= 0 {
		limit = 200 * time.Millisecond // some wait for more then
	}
	a, b := connected(t, limit)
	spoilA, spoilB := &spoiler{Conn: a, at: -1}, &spoiler{Conn: b, at: -1}
	mine := spoilB
	if who == "server" {
		mine = spoilA
	}
	mine.at, mine.flip = at, flip
	errs := make(chan error, 2)
	go func() {
		l := &link{conn: spoilA, in: input{maxMessage: 1000, maxParts: 4}}
		_, err := l.handshake(&Config{Type: PULL, Curve: server}, randReader{})
		if err != nil {
			a.Close()
		}
		errs <- err
	}()
	go func() {
		l := &link{conn: spoilB, dialed: true, in: input{maxMessage: 1000, maxParts: 4}}
		_, err := l.handshake(&Config{Type: PUSH, Curve: client}, randReader{})
		if err != nil {
			b.Close()
		}
		errs <- err
	}()
	r := talkResult{}
	for range 2 {
		if err := <-errs; err != nil {
			r.err = err
		}
	}
	a.Close()
	b.Close()
	r.bytes = mine.n
	return r
}

// connected returns the two ends of a connection, that fail rather than wait.
func connected(t *testing.T, limit time.Duration) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		_ = c.SetDeadline(time.Now().Add(limit))
		t.Cleanup(func() { c.Close() })
	}
	return a, b
}

type spoiler struct {
	net.Conn
	n, at int
	flip  byte
}

func (s *spoiler) Write(b []byte) (int, error) {
	b = bytes.Clone(b)
	if i := s.at - s.n; s.at >= 0 && i >= 0 && i < len(b) {
		b[i] ^= s.flip
	}
	s.n += len(b)
	return s.Conn.Write(b)
}
