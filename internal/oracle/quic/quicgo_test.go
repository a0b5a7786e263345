package quic

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

// diary is what a peer says of its connection.
type diary struct {
	mu       sync.Mutex
	sent     []string
	received []string
}

func (d *diary) AddProducer() qlogwriter.Recorder { return d }
func (d *diary) SupportsSchemas(string) bool      { return true }
func (d *diary) Close() error                     { return nil }

func (d *diary) RecordEvent(e qlogwriter.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e := e.(type) {
	case qlog.PacketSent:
		if s := text(&e.Header); s != "" {
			d.sent = append(d.sent, s)
		}
	case qlog.PacketReceived:
		if s := text(&e.Header); s != "" {
			d.received = append(d.received, s)
		}
	case qlog.VersionNegotiationReceived:
		d.received = append(d.received, header("version_negotiation", 0, e.Header.SrcConnectionID, e.Header.DestConnectionID))
	}
}

// text is a long header as sight has it, empty for a short one.
func text(h *qlog.PacketHeader) string {
	if h.PacketType == qlog.PacketType1RTT {
		return ""
	}
	return header(string(h.PacketType), uint32(h.Version), h.DestConnectionID.Bytes(), h.SrcConnectionID.Bytes())
}

// certificate is one for the server, and a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"quic.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// peers are what a case changes of a client and a server.
type peers struct {
	name, comment  string
	client, server quic.Config
	clientTLS      func(*tls.Config)
	serverTLS      func(*tls.Config)
	retry          bool
	fails          bool // there is no connection in the end
	times          int  // connections one after the other, with what the client remembers
	datagrams      int  // how many of them are kept with -record

	hellos    []string // of the last connection
	protocols []string
	closes    []string
}

func cases() []peers {
	v2 := []quic.Version{quic.Version2}
	return []peers{
		{name: "quicgo-v1", comment: "quic-go, version 1.", datagrams: 12, hellos: []string{"client", "server"}},
		{name: "quicgo-v2", comment: "quic-go, version 2.", client: quic.Config{Versions: v2}, server: quic.Config{Versions: v2},
			datagrams: 8, hellos: []string{"client", "server"}},
		{name: "quicgo-retry", comment: "quic-go; the server asks to prove the address first.", retry: true, datagrams: 8,
			hellos: []string{"client", "server"}},
		{name: "quicgo-retry-v2", comment: "quic-go, version 2; the server asks to prove the address first.",
			client: quic.Config{Versions: v2}, retry: true, hellos: []string{"client", "server"}},
		{name: "quicgo-0rtt", comment: "quic-go; the client has been here before and sends early data.", times: 2, datagrams: 10,
			server: quic.Config{Allow0RTT: true}, hellos: []string{"client", "server"}},
		{name: "quicgo-hello-retry", comment: "quic-go; the server wants another group than the client's first, so there are two ClientHellos.",
			serverTLS: func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} }, datagrams: 8,
			hellos: []string{"client", "retry"}},
		{name: "quicgo-negotiation", comment: "quic-go; the server does not know the client's version.", fails: true,
			client: quic.Config{Versions: []quic.Version{quic.Version1}}, server: quic.Config{Versions: v2},
			hellos: []string{"client"}, datagrams: 4},
		{name: "quicgo-refused", comment: "quic-go; there is no protocol that both know, and the server says so.", fails: true,
			serverTLS: func(c *tls.Config) { c.NextProtos = []string{"other"} }, datagrams: 6,
			hellos: []string{"client"}, closes: []string{"false 376 "}},
		{name: "quicgo-many", comment: "quic-go; a ClientHello with so many protocols that it takes three packets.",
			clientTLS: func(c *tls.Config) { c.NextProtos = append([]string{"echo"}, many()...) }, datagrams: 8,
			hellos: []string{"client", "server"}, protocols: append([]string{"echo"}, many()...)},
	}
}

// many are protocols that nobody speaks.
func many() []string {
	var list []string
	for i := range 100 {
		list = append(list, "protocol-nobody-speaks-"+string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	return list
}

// TestQUICGo lets quic-go talk to itself and compares each long header with what
// both sides note, and the hello with what the client was told to say.
func TestQUICGo(t *testing.T) {
	for _, p := range cases() {
		t.Run(p.name, func(t *testing.T) {
			client, server, flows := p.talk(t)
			f := flows[len(flows)-1]
			keep(t, p.name, p.comment, f, p.datagrams)
			got := look(f)
			want := [2][]string{server.sent, client.sent}
			if p.retry {
				checkRetry(t, got, client)
			}
			if p.fails && len(server.sent) == 0 {
				want[0] = client.received
			}
			for side := range want {
				// The analyzer may stop early, where it cannot know what follows.
				n := len(want[side])
				if p.fails {
					n = min(n, len(got.packets[side]))
				}
				if n == 0 || !slices.Equal(got.packets[side], want[side][:n]) {
					t.Errorf("side %d\ngot  %q\nwant %q", side, got.packets[side], want[side])
				}
			}
			if p.protocols == nil {
				p.protocols = []string{"echo"}
			}
			// quic-go's ClientHello comes in two packets; what the server says to the first
			// may come between them.
			loose := p.retry || p.name == "quicgo-negotiation"
			if n := len(p.hellos); loose && len(got.hellos) > n {
				got.hellos, got.protocols = got.hellos[1:], got.protocols[1:]
			}
			if loose && len(got.hellos) == 0 {
				p.hellos, p.protocols = nil, nil
			}
			if !slices.Equal(got.hellos, p.hellos) || !slices.Equal(got.protocols, p.protocols) || !slices.Equal(got.closes, p.closes) {
				t.Errorf("hellos %q, protocols %q, closes %q", got.hellos, got.protocols, got.closes)
			}
			for _, n := range got.names {
				if n != "quic.example.org" {
					t.Errorf("name %q", n)
				}
			}
			if len(got.reasons) > 0 && p.name != "quicgo-negotiation" {
				t.Errorf("violations %q", got.reasons)
			}
			if got.short == p.fails {
				t.Errorf("short headers seen: %v", got.short)
			}
		})
	}
}

// checkRetry takes Retry packets out of what was seen of the server, which sends
// them before it knows of a connection. The client notes the first alone.
func checkRetry(t *testing.T, got *sight, client *diary) {
	var rest []string
	first := ""
	for _, h := range got.packets[0] {
		if strings.HasPrefix(h, "retry") {
			first = cmp.Or(first, h)
			continue
		}
		rest = append(rest, h)
	}
	// In the client's notes the destination is its first one, not its own id.
	if want, _, _ := strings.Cut(client.received[0], ">"); first == "" || strings.TrimSuffix(first, ">") != want {
		t.Errorf("retry %q, the client notes %q", first, client.received[0])
	}
	got.packets[0] = rest
}

// talk runs client and server, and returns what they say of the last connection.
func (p *peers) talk(t *testing.T) (client, server *diary, flows []*Flow) {
	cert, pool := certificate(t)
	serverTLS := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"echo"}}
	clientTLS := &tls.Config{RootCAs: pool, ServerName: "quic.example.org", NextProtos: []string{"echo"}, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if p.serverTLS != nil {
		p.serverTLS(serverTLS)
	}
	if p.clientTLS != nil {
		p.clientTLS(clientTLS)
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	p.server.Tracer = func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace {
		server = &diary{}
		return server
	}
	p.client.Tracer = func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace {
		client = &diary{}
		return client
	}
	p.server.HandshakeIdleTimeout, p.client.HandshakeIdleTimeout = time.Minute, time.Minute // the machine may be busy
	tr := &quic.Transport{Conn: socket, VerifySourceAddress: func(net.Addr) bool { return p.retry }}
	defer tr.Close()
	l, err := tr.ListenEarly(serverTLS, &p.server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	relay, err := NewRelay(socket.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { serve(ctx, l) })
	for range max(1, p.times) {
		if err := dial(ctx, relay.Addr().String(), clientTLS, &p.client); (err != nil) != p.fails {
			t.Errorf("the connection's end: %v", err)
		}
	}
	l.Close()
	wg.Wait()
	tr.Close()
	if server == nil {
		server = &diary{}
	}
	return client, server, relay.Close()
}

// serve echoes what comes on each connection's first stream.
func serve(ctx context.Context, l *quic.EarlyListener) {
	for {
		conn, err := l.Accept(ctx)
		if err != nil {
			return
		}
		if s, err := conn.AcceptStream(ctx); err == nil {
			io.Copy(s, s)
			s.Close()
		}
		<-conn.Context().Done()
	}
}

func dial(ctx context.Context, addr string, cfg *tls.Config, q *quic.Config) error {
	conn, err := quic.DialAddrEarly(ctx, addr, cfg, q)
	if err != nil {
		return err
	}
	s, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	if _, err := s.Write([]byte("hello")); err != nil {
		return err
	}
	s.Close()
	if _, err := io.ReadAll(s); err != nil {
		return err
	}
	time.Sleep(20 * time.Millisecond) // for what is remembered until next time
	return conn.CloseWithError(0, "")
}
