package zmtp

import (
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/nacl/box"

	"github.com/picket-nsm/picket/internal/testenv"
)

// decoded is what one side of a recorded connection said.
type decoded struct {
	kind     string
	messages [][][]byte
	commands []string // name and data of those after READY
	left     int      // bytes of an unfinished frame at the end
}

// script is a connection whose other side says what was written down, in pieces
// of a few bytes, and hears nothing.
type script struct {
	net.Conn
	rest  []byte
	piece int
	said  []byte // what we wrote
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), s.piece)], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	s.said = append(s.said, b...)
	return len(b), nil
}

func (s *script) Close() error { return nil }

func newScript(b []byte, piece int) *link {
	l := &link{conn: &script{rest: b, piece: piece}, dialed: true}
	l.in = input{maxMessage: 1 << 20, maxParts: 16}
	return l
}

// greet reads one side's greeting.
func (d *decoded) greet(t *testing.T, l *link, mechanism string) {
	t.Helper()
	raw, err := l.greeting()
	if err != nil {
		t.Fatal(err)
	}
	g, err := parseGreeting(raw)
	if err != nil || g.mechanism != mechanism || g.minor != 1 {
		t.Fatalf("greeting %+v, %v", g, err)
	}
	if raw[32] != 0 {
		t.Error("libzmq has set as-server, which it never did")
	}
}

// decodeNull takes in one side's bytes with the code that reads connections.
func decodeNull(t *testing.T, b []byte, piece int) (d decoded) {
	t.Helper()
	l := newScript(b, piece)
	d.greet(t, l, mechNull)
	ready, err := l.command()
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := commandData(ready, "READY", 0, maxCommand)
	if err != nil {
		t.Fatal(err)
	}
	if d.kind, _, err = parseMetadata(metadata); err != nil {
		t.Fatal(err)
	}
	for {
		k, m, c, err := l.in.next()
		if err != nil {
			t.Fatal(err)
		}
		switch k {
		case aMessage:
			d.messages = append(d.messages, m.Clone().Parts())
		case aCommand:
			name, data, err := parseCommand(c)
			if err != nil {
				t.Fatal(err)
			}
			d.commands = append(d.commands, name+" "+string(data))
		default:
			if err := l.in.fill(l.conn); err == io.EOF {
				d.left = l.in.w - l.in.r
				return d
			}
		}
	}
}

// TestRecordedNull decodes every byte of a real cluster's traffic: three Zeek
// nodes, events, log batches, a worker killed, the broker killed and back.
func TestRecordedNull(t *testing.T) {
	conns := testenv.Connections(t, testenv.Shared(t, "golden", "zmtp", "null.pcap"))
	count := map[string]int{}
	replayed := 0
	for _, c := range conns {
		client, server := decodeNull(t, c.Client, 1<<16), decodeNull(t, c.Server, 1<<16)
		for _, piece := range []int{1, 7} {
			if got := decodeNull(t, c.Client, piece); !slices.EqualFunc(got.messages, client.messages, sameParts) {
				t.Errorf("port %d: other messages in pieces of %d", c.Port, piece)
			}
		}
		kinds := client.kind + ">" + server.kind
		count[kinds]++
		want := map[int]string{5555: "XSUB>XPUB", 5556: "XPUB>XSUB", 27761: "PUSH>PULL"}[c.Port]
		if kinds != want {
			t.Errorf("port %d: %s, want %s", c.Port, kinds, want)
		}
		if client.left+server.left != 0 {
			t.Errorf("port %d: %d and %d bytes are left over", c.Port, client.left, server.left)
		}
		// Who subscribes on this connection, and who publishes.
		subscriber, publisher := client, server
		if c.Port == 5556 {
			subscriber, publisher = server, client
		}
		if c.Port == 27761 {
			if len(server.messages) != 0 {
				t.Errorf("PULL sent %d messages", len(server.messages))
			}
			for _, m := range client.messages {
				if len(m) != 4 || string(m[0]) != "log-write" || string(m[2]) != "zeek-bin-serializer" {
					t.Errorf("log message %q", m)
				}
				count["batches"]++
			}
			continue
		}
		for _, m := range subscriber.messages {
			if len(m) != 1 || len(m[0]) == 0 || m[0][0] > 1 {
				t.Errorf("port %d: subscription %q", c.Port, m)
			}
			count["subscriptions"]++
		}
		for _, m := range publisher.messages {
			if len(m) != 4 || string(m[2]) != "broker-bin-v1" || !strings.HasPrefix(string(m[1]), "zeromq_") {
				t.Errorf("port %d: event %q", c.Port, m)
			}
			count["events"]++
			if string(m[0]) == "/gold/tick" {
				count["ticks"]++
			}
		}
		for _, text := range append(client.commands, server.commands...) {
			if !strings.HasPrefix(text, "SUBSCRIBE ") {
				t.Errorf("port %d: command %q", c.Port, text)
			}
			replayed++
		}
	}
	t.Logf("%d connections, %v, %d subscriptions replayed as commands", len(conns), count, replayed)
	for _, what := range []string{"XSUB>XPUB", "XPUB>XSUB", "PUSH>PULL", "subscriptions", "events", "ticks", "batches"} {
		if count[what] == 0 {
			t.Errorf("no %s in the recording", what)
		}
	}
	if replayed == 0 {
		t.Error("nobody replayed subscriptions after the broker's restart")
	}
}

func sameParts(a, b [][]byte) bool {
	return slices.EqualFunc(a, b, func(x, y []byte) bool { return string(x) == string(y) })
}

// TestRecordedReplay lets our sockets live through the recorded connections: the
// other side says what it said then.
func TestRecordedReplay(t *testing.T) {
	for _, c := range testenv.Connections(t, testenv.Shared(t, "golden", "zmtp", "null.pcap")) {
		for _, we := range []string{"server", "client"} {
			said, kind := c.Client, decodeNull(t, c.Server, 1<<16).kind
			if we == "client" {
				said, kind = c.Server, decodeNull(t, c.Client, 1<<16).kind
			}
			want := decodeNull(t, said, 1<<16)
			replay(t, kind, said, want)
		}
	}
}

func replay(t *testing.T, kind string, said []byte, want decoded) {
	t.Helper()
	typ := Type(slices.Index(typeNames[:], kind))
	got := 0
	w := &wishes{}
	done := make(chan Event, 1)
	_, bound, _ := run(t, Config{Type: typ, Bind: []string{"tcp://127.0.0.1:0"}, Verboser: true}, Hooks{
		Receive:      func(*Peer) Receiver { return ReceiveFunc(func(Message) { got++ }) },
		Subscription: w.add,
		Monitor: func(e Event) {
			if e.Kind == Gone || e.Kind == Failed {
				done <- e
			}
		},
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(bound[0], "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(said); err != nil {
		t.Fatal(err)
	}
	if err := closeWrite(conn); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-done:
		if e.Kind != Gone || !errors.Is(e.Err, io.EOF) {
			t.Fatalf("%s ended with %s: %v", kind, e.Kind, e.Err)
		}
	case <-time.After(aim):
		t.Fatalf("%s did not end", kind)
	}
	if !typ.publishes() {
		if got != len(want.messages) {
			t.Errorf("%s took %d messages, want %d", kind, got, len(want.messages))
		}
		return
	}
	var wishes []string
	for _, c := range want.commands {
		wishes = append(wishes, "+"+strings.TrimPrefix(c, "SUBSCRIBE "))
	}
	left := map[string]bool{}
	for _, m := range want.messages {
		wishes = append(wishes, string("-+"[m[0][0]])+string(m[0][1:]))
	}
	for _, s := range wishes {
		left[s[1:]] = s[0] == '+'
		if s[0] == '-' {
			delete(left, s[1:])
		}
	}
	// The end of the connection takes back what is left.
	for _, topic := range slices.Sorted(maps.Keys(left)) {
		wishes = append(wishes, "-"+topic)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.all, wishes) {
		t.Errorf("%s saw\n%q\nwant\n%q", kind, w.all, wishes)
	}
}

// recordedKeys reads the keys of the recorded CURVE cluster.
func recordedKeys(t *testing.T) (server, client *Curve) {
	t.Helper()
	b, err := os.ReadFile(testenv.Shared(t, "golden", "zmtp", "curve-keys.txt"))
	if err != nil {
		t.Fatal(err)
	}
	server, client = &Curve{Server: true}, &Curve{}
	var serverPublic, clientPublic Key
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		f := strings.Fields(line)
		var err error
		switch f[0] + " " + f[1] {
		case "server public":
			serverPublic, err = ParseKey(f[2])
		case "server secret":
			server.Secret, err = ParseSecret(f[2])
		case "client public":
			clientPublic, err = ParseKey(f[2])
		case "client secret":
			client.Secret, err = ParseSecret(f[2])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if server.Secret.Public() != serverPublic || client.Secret.Public() != clientPublic {
		t.Error("public keys do not follow from the secret ones")
	}
	server.Clients, client.ServerKey = []Key{clientPublic}, serverPublic
	return server, client
}

// TestRecordedCurve takes the encrypted cluster's traffic apart as far as lasting
// keys reach: HELLO and WELCOME. What comes behind is under keys that both sides
// made for the connection and forgot, so there it checks sizes, flags and nonces.
func TestRecordedCurve(t *testing.T) {
	keys, _ := recordedKeys(t)
	conns := testenv.Connections(t, testenv.Shared(t, "golden", "zmtp", "curve.pcap"))
	frames := 0
	for _, c := range conns {
		client, server := newScript(c.Client, 1<<16), newScript(c.Server, 1<<16)
		var d decoded
		d.greet(t, client, mechCurve)
		d.greet(t, server, mechCurve)
		must := func(b []byte, err error) []byte {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		s := &curveServer{keys: keys}
		if err := s.hello(must(client.command())); err != nil {
			t.Fatal(err)
		}
		if s.recvd != 1 {
			t.Errorf("HELLO has nonce %d", s.recvd)
		}
		welcome := must(commandData(must(server.command()), "WELCOME", welcomeSize, welcomeSize))
		nonce := longNonce("WELCOME-", welcome[:16])
		plain, ok := box.Open(nil, welcome[16:], &nonce, (*[32]byte)(&s.clientNow), (*[32]byte)(&keys.Secret))
		if !ok || len(plain) != 32+cookieSize {
			t.Fatal("WELCOME does not open")
		}
		kind := map[int][2]string{5555: {"XSUB", "XPUB"}, 5556: {"XPUB", "XSUB"}, 27761: {"PUSH", "PULL"}}[c.Port]
		// Socket-Type, and Identity without a value? libzmq tells none for these.
		initiate := must(commandData(must(client.command()), "INITIATE", initiateMinimum, maxCommand))
		if string(initiate[:cookieSize]) != string(plain[32:]) {
			t.Error("INITIATE has another cookie than WELCOME")
		}
		if n := binary.BigEndian.Uint64(initiate[cookieSize:]); n != 2 {
			t.Errorf("INITIATE has nonce %d", n)
		}
		ready := must(commandData(must(server.command()), "READY", readyMinimum, maxCommand))
		if n := binary.BigEndian.Uint64(ready); n != 1 {
			t.Errorf("READY has nonce %d", n)
		}
		typ := func(name string) int {
			return len(appendMetadata(nil, &Config{Type: Type(slices.Index(typeNames[:], name))}))
		}
		if got, want := len(initiate), initiateMinimum-9+typ(kind[0]); got != want {
			t.Errorf("INITIATE of %d bytes, want %d", got, want)
		}
		if got, want := len(ready), readyMinimum-6+typ(kind[1]); got != want {
			t.Errorf("READY of %d bytes, want %d", got, want)
		}
		frames += sealedFrames(t, client, 3) + sealedFrames(t, server, 2)
	}
	t.Logf("%d connections, %d encrypted frames", len(conns), frames)
	if len(conns) == 0 || frames == 0 {
		t.Error("nothing in the recording")
	}
}

// sealedFrames checks all MESSAGE frames that follow, and returns how many.
func sealedFrames(t *testing.T, l *link, nonce uint64) (n int) {
	t.Helper()
	in := &l.in
	for {
		in.r = in.at
		f, ok, err := parseHeader(in.buf[in.at:in.w], 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if !ok || in.w-in.at < f.head+f.size {
			if err := in.fill(l.conn); err == io.EOF {
				if in.w != in.at {
					t.Errorf("%d bytes are left over", in.w-in.at)
				}
				return n
			}
			continue
		}
		body := in.buf[in.at+f.head : in.at+f.head+f.size]
		in.at += f.head + f.size
		if f.flags&^flagLong != 0 || len(body) < messageOverhead || string(body[:8]) != "\x07MESSAGE" {
			t.Fatalf("frame %d: flags %#x, %d bytes", n, f.flags, len(body))
		}
		if got := binary.BigEndian.Uint64(body[8:]); got != nonce {
			t.Fatalf("frame %d has nonce %d, want %d", n, got, nonce)
		}
		nonce++
		n++
	}
}
