package zmtp

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/testenv"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rawGreeting is what a libzmq of that minor version says.
func rawGreeting(minor byte, mechanism string) []byte {
	g := appendGreeting(nil, mechanism, false)
	g[11] = minor
	return g
}

// rawPeer connects to a socket of ours and shakes hands by hand.
func rawPeer(t testing.TB, bound string, said ...[]byte) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(bound, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write(bytes.Join(said, nil)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(aim))
	return conn
}

func readN(t testing.TB, c net.Conn, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func rawReady(kind Type) []byte {
	return appendCommand(nil, "READY", appendMetadata(nil, &Config{Type: kind}))
}

// TestBytes pins what we say: wire.md A.3, as real libzmq says it too.
func TestBytes(t *testing.T) {
	cases := []struct{ what, got, want string }{
		{"READY of XSUB", hex.EncodeToString(rawReady(XSUB)), "041a0552454144590b536f636b65742d547970650000000458535542"},
		{"greeting", hex.EncodeToString(appendGreeting(nil, mechNull, false)), "ff00000000000000017f03014e554c4c" + strings.Repeat("00", 48)},
		{"replay to 3.1", hex.EncodeToString(appendSubscription(nil, true, true, "late")), "040e095355425343524942456c617465"},
		{"replay to 3.0", hex.EncodeToString(appendSubscription(nil, true, false, "late")), "0005016c617465"},
		{"removal", hex.EncodeToString(appendSubscription(nil, false, false, "late")), "0005006c617465"},
		{"removal as command", hex.EncodeToString(appendSubscription(nil, false, true, "late")), "040b0643414e43454c6c617465"},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.what, c.got, c.want)
		}
	}
	hello := unhex(t, "01147a65656b2e636c75737465722e6d616e61676572011d7a65726f6d715f776f726b65722d315f686f73745f3132335f4e616263010d62726f6b65722d62696e2d763100510e030200000000000000010200000000000000010e02050e436c75737465723a3a68656c6c6f0e020508776f726b65722d31051d7a65726f6d715f776f726b65722d315f686f73745f3132335f4e616263")
	in := input{maxMessage: 1000, maxParts: 4}
	if err := in.fill(bytes.NewReader(hello)); err != nil {
		t.Fatal(err)
	}
	k, m, _, err := in.next()
	if err != nil || k != aMessage || len(m.Parts()) != 4 || string(m.Parts()[0]) != "zeek.cluster.manager" {
		t.Fatalf("hello: %v %v %q", k, err, m.Parts())
	}
	if got := NewMessage(m.Parts()...); !bytes.Equal(got.wire, hello) || !bytes.Equal(m.wire, hello) {
		t.Error("hello encodes to other bytes")
	}
}

// TestReplayForm: subscriptions go to a peer of ZMTP 3.0 as messages, to one of
// 3.1 as commands when they are replayed.
func TestReplayForm(t *testing.T) {
	for _, kind := range []Type{SUB, XSUB} {
		for _, minor := range []byte{0, 1} {
			s, bound, _ := run(t, Config{Type: kind, Bind: []string{"tcp://127.0.0.1:0"}}, Hooks{})
			s.Subscribe("late")
			s.Subscribe("late")
			c := rawPeer(t, bound[0], rawGreeting(minor, mechNull), rawReady(XPUB))
			readN(t, c, greetingSize+len(rawReady(kind)))
			want := appendSubscription(nil, true, minor == 1, "late") // once
			if got := readN(t, c, len(want)); !bytes.Equal(got, want) {
				t.Errorf("%s to 3.%d: replayed %x, want %x", kind, minor, got, want)
			}
			s.Subscribe("now")
			s.Unsubscribe("late")
			s.Unsubscribe("late")
			s.Unsubscribe("late") // one too many
			command := minor == 1 && kind == SUB
			want = appendSubscription(nil, true, command, "now")
			want = appendSubscription(want, false, command, "late")
			want = appendPong(want, "end")
			if _, err := c.Write(appendCommand(nil, "PING", []byte("\x00\x00end"))); err != nil {
				t.Fatal(err)
			}
			if got := readN(t, c, len(want)); !bytes.Equal(got, want) {
				t.Errorf("%s to 3.%d: sent %x, want %x", kind, minor, got, want)
			}
		}
	}
}

func appendPong(b []byte, context string) []byte { return appendCommand(b, "PONG", []byte(context)) }

// TestSubscriptionForms: both forms, from one peer.
func TestSubscriptionForms(t *testing.T) {
	w := &wishes{}
	s, bound, _ := run(t, Config{Type: XPUB, Bind: []string{"tcp://127.0.0.1:0"}, Verboser: true}, Hooks{Subscription: w.add})
	said := appendSubscription(nil, true, false, "a")
	said = appendSubscription(said, true, true, "b")
	said = appendSubscription(said, true, true, "a")
	said = appendSubscription(said, true, true, "")
	said = appendSubscription(said, false, true, "b")
	said = appendSubscription(said, false, false, "a") // one takes both back
	said = appendSubscription(said, false, false, "a") // of nothing
	said = appendCommand(said, "WHATEVER", []byte("x"))
	c := rawPeer(t, bound[0], rawGreeting(1, mechNull), rawReady(SUB), said)
	w.want(t, "+a", "+b", "+a", "+", "-b", "-a")
	testenv.Eventually(t, aim, "two ignored", func() bool { return s.Status().Total().Ignored == 2 })
	c.Close()
	w.want(t, "+a", "+b", "+a", "+", "-b", "-a", "-")
}

// TestVerbosity: what XPUB tells of repeated subscriptions and early removals.
func TestVerbosity(t *testing.T) {
	cases := []struct {
		name              string
		verbose, verboser bool
		want              []string
	}{
		{"neither", false, false, []string{"+a", "-a"}},
		{"verbose", true, false, []string{"+a", "+a", "+a", "-a"}},
		{"verboser", true, true, []string{"+a", "+a", "+a", "-a", "-a"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := &wishes{}
			s, bound, _ := run(t, Config{Type: XPUB, Bind: []string{"tcp://127.0.0.1:0"}, Verbose: c.verbose, Verboser: c.verboser}, Hooks{Subscription: w.add})
			sub := appendSubscription(nil, true, false, "a")
			one := rawPeer(t, bound[0], rawGreeting(1, mechNull), rawReady(SUB), sub, sub)
			testenv.Eventually(t, aim, "one", func() bool { return s.Has("a") })
			two := rawPeer(t, bound[0], rawGreeting(1, mechNull), rawReady(SUB), sub)
			testenv.Eventually(t, aim, "two", func() bool {
				st := s.Status()
				return len(st.Peers) == 2 && st.Peers[1].Subscriptions == 1
			})
			one.Close()
			testenv.Eventually(t, aim, "one gone", func() bool { return s.Peers() == 1 })
			if _, err := two.Write(appendSubscription(nil, false, false, "a")); err != nil {
				t.Fatal(err)
			}
			w.want(t, c.want...)
		})
	}
}

// TestHostile: what breaks the rules is cut off with a reason, and the socket
// goes on serving others.
func TestHostile(t *testing.T) {
	null, xsub := rawGreeting(1, mechNull), rawReady(XSUB)
	many := func(n int) []byte {
		var b []byte
		for i := range n {
			b = appendSubscription(b, true, false, string(binary.BigEndian.AppendUint32(nil, uint32(i))))
		}
		return b
	}
	shaken := slices.Concat(null, xsub)
	cases := []struct {
		name string
		said []byte
		want error
		kind EventKind
	}{
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), ErrProtocol, Failed},
		{"ZMTP 1", unhex(t, "0100"), ErrProtocol, Failed},
		{"ZMTP 2", unhex(t, "ff00000000000000017f 01 00"), ErrProtocol, Failed},
		{"bad signature", unhex(t, "ff00000000000000017e"), ErrProtocol, Failed},
		{"other mechanism", rawGreeting(1, mechCurve), ErrMechanism, Failed},
		{"mechanism of rubbish", rawGreeting(1, "NU\x00L"), ErrProtocol, Failed},
		{"message for READY", slices.Concat(null, []byte{0, 1, 'x'}), ErrProtocol, Failed},
		{"other command for READY", slices.Concat(null, appendCommand(nil, "PING", nil)), ErrProtocol, Failed},
		{"ERROR for READY", slices.Concat(null, appendError(nil, "go away")), ErrRefused, Failed},
		{"command above the limit", slices.Concat(null, unhex(t, "06 0000000000100000")), ErrTooLarge, Failed},
		{"empty command", slices.Concat(null, []byte{4, 0}), ErrProtocol, Failed},
		{"wrong socket type", slices.Concat(null, rawReady(PULL)), ErrProtocol, Failed},
		{"no socket type", slices.Concat(null, appendCommand(nil, "READY", nil)), ErrProtocol, Failed},
		{"cut metadata", slices.Concat(null, appendCommand(nil, "READY", []byte("\x0bSocket-Type\x00\x00\x00\xff"))), ErrProtocol, Failed},
		{"frame of 2^50 bytes", slices.Concat(shaken, unhex(t, "02 0004000000000000")), ErrTooLarge, Gone},
		{"frame of 2^64-1 bytes", slices.Concat(shaken, unhex(t, "02 ffffffffffffffff")), ErrTooLarge, Gone},
		{"message above the limit", slices.Concat(shaken, bytes.Repeat(appendFrame(nil, flagMore, make([]byte, 60000)), 2)), ErrTooLarge, Gone},
		{"message of too many parts", slices.Concat(shaken, bytes.Repeat([]byte{1, 0}, 20)), ErrTooLarge, Gone},
		{"reserved flags", slices.Concat(shaken, []byte{0x80, 0}), ErrProtocol, Gone},
		{"command with MORE", slices.Concat(shaken, []byte{5, 0}), ErrProtocol, Gone},
		{"command without name", slices.Concat(shaken, []byte{4, 1, 9}), ErrProtocol, Gone},
		{"too many subscriptions", slices.Concat(shaken, many(101)), ErrTooLarge, Gone},
		{"long subscription", slices.Concat(shaken, appendSubscription(nil, true, true, strings.Repeat("x", 101))), ErrTooLarge, Gone},
		{"long ping", slices.Concat(shaken, appendCommand(nil, "PING", make([]byte, 30))), ErrProtocol, Gone},
		{"ERROR", slices.Concat(shaken, appendError(nil, "no")), ErrRefused, Gone},
		{"silence", null[:20], ErrTimeout, Failed},
	}
	ev := make(chan Event, 100)
	s, bound, _ := run(t, Config{Type: XPUB, Bind: []string{"tcp://127.0.0.1:0"}, MaxMessage: 100_000, MaxParts: 16,
		MaxSubscriptions: 100, MaxTopic: 100, Handshake: 2 * time.Second}, Hooks{Monitor: func(e Event) {
		if e.Kind == Failed || e.Kind == Gone {
			ev <- e
		}
	}})
	good := rawPeer(t, bound[0], shaken, appendSubscription(nil, true, false, "g"))
	testenv.Eventually(t, aim, "good peer", func() bool { return s.Has("g") })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := rawPeer(t, bound[0], c.said)
			select {
			case e := <-ev:
				if e.Kind != c.kind || !errors.Is(e.Err, c.want) {
					t.Errorf("%s: %v, want %s: %v", e.Kind, e.Err, c.kind, c.want)
				}
			case <-time.After(aim):
				t.Fatal("not cut off")
			}
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, io.ErrNoProgress) {
				t.Error(err)
			}
		})
	}
	if err := s.Send([]byte("g"), []byte("still here")); err != nil {
		t.Fatal(err)
	}
	readN(t, good, greetingSize+len(rawReady(XPUB))+5+10)
}

// TestTruncated: a connection cut at any byte ends without a message too many.
func TestTruncated(t *testing.T) {
	whole := slices.Concat(rawGreeting(1, mechNull), rawReady(PUSH),
		appendMessage(nil, [][]byte{[]byte("a"), bytes.Repeat([]byte("b"), 300), nil}),
		appendPing(nil, 10), appendMessage(nil, [][]byte{[]byte("c")}))
	ends := []int{len(whole) - 3 - len(appendPing(nil, 10)), len(whole)}
	for cut := range len(whole) + 1 {
		l := newScript(whole[:cut], 13)
		messages := 0
		if _, err := l.shakeAll(); err == nil {
			for {
				k, _, _, err := l.in.next()
				if err != nil {
					t.Fatal(err)
				}
				if k == aMessage {
					messages++
				} else if k == nothing && l.in.fill(l.conn) != nil {
					break
				}
			}
		}
		want := 0
		for _, e := range ends {
			if cut >= e {
				want++
			}
		}
		if messages != want {
			t.Errorf("cut at %d: %d messages, want %d", cut, messages, want)
		}
	}
}

// shakeAll shakes hands as a PULL without encryption.
func (l *link) shakeAll() (shaken, error) {
	return l.handshake(&Config{Type: PULL}, nil)
}

// TestPingBetweenFrames: libzmq may put a command between the frames of a message.
func TestPingBetweenFrames(t *testing.T) {
	box := make(inbox, 10)
	_, bound, _ := run(t, Config{Type: PULL, Bind: []string{"tcp://127.0.0.1:0"}}, box.hooks())
	ping := appendCommand(nil, "PING", []byte("\x00\x0ax"))
	said := slices.Concat(rawGreeting(1, mechNull), rawReady(PUSH), ping,
		appendFrame(nil, flagMore, []byte("one")), ping, ping, appendFrame(nil, flagMore, nil), ping, appendFrame(nil, 0, []byte("three")), ping,
		appendFrame(nil, 0, []byte("next")))
	c := rawPeer(t, bound[0], said)
	if m := box.take(t); string(bytes.Join(m, []byte("|"))) != "one||three" {
		t.Errorf("got %q", m)
	}
	if m := box.take(t); string(m[0]) != "next" {
		t.Errorf("got %q", m)
	}
	readN(t, c, greetingSize+len(rawReady(PULL)))
	pongs := bytes.Repeat(appendPong(nil, "x"), 5)
	if got := readN(t, c, len(pongs)); !bytes.Equal(got, pongs) {
		t.Errorf("answered %x", got)
	}
}

// TestAsServerIgnored: libzmq servers say 0 there; who connects as CURVE client
// must not mind, nor a server about a client that says 1.
func TestAsServerIgnored(t *testing.T) {
	server, client := testCurve(t)
	for _, flip := range []bool{false, true} {
		a, b := connected(t, aim)
		errs := make(chan error, 1)
		go func() {
			l := &link{conn: &flipAsServer{Conn: a, flip: flip}, in: input{maxMessage: 1000, maxParts: 4}}
			_, err := l.handshake(&Config{Type: PULL, Curve: server}, rand.Reader)
			errs <- err
		}()
		l := &link{conn: &flipAsServer{Conn: b, flip: flip}, dialed: true, in: input{maxMessage: 1000, maxParts: 4}}
		if _, err := l.handshake(&Config{Type: PUSH, Curve: client}, rand.Reader); err != nil {
			t.Error(err)
		}
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// flipAsServer changes the as-server byte of the greeting that is written.
type flipAsServer struct {
	net.Conn
	flip bool
	n    int
}

func (f *flipAsServer) Write(b []byte) (int, error) {
	b = bytes.Clone(b)
	if at := 32 - f.n; f.flip && at >= 0 && at < len(b) {
		b[at] ^= 1
	}
	f.n += len(b)
	return f.Conn.Write(b)
}
