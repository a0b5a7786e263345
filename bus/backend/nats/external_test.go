package nats

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/backendtest"
	"github.com/picket-nsm/picket/internal/testenv"
)

// external is a nats-server of another build, as a process.
type external struct {
	bin, conf, url string
	port           int
	cmd            *exec.Cmd
	out            bytes.Buffer
}

func newExternal(t testing.TB, scheme, conf string) *external {
	t.Helper()
	e := &external{bin: testenv.NeedTool(t, "nats-server")}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	e.conf = filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(e.conf, fmt.Appendf(nil, "listen: 127.0.0.1:%d\n%s", e.port, conf), 0o600); err != nil {
		t.Fatal(err)
	}
	e.url = fmt.Sprintf("%s://127.0.0.1:%d", scheme, e.port)
	e.start(t)
	t.Cleanup(e.kill)
	return e
}

func (e *external) start(t testing.TB) {
	t.Helper()
	e.cmd = exec.Command(e.bin, "-c", e.conf)
	e.cmd.Stderr = &e.out
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", e.port))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nats-server does not start: %s", e.out.String())
		}
	}
}

// kill is SIGKILL.
func (e *external) kill() {
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
}

const withPassword = "max_payload: 2MB\nauthorization { user: node, password: secret }\n"

// The kit over Debian's nats-server, its death by SIGKILL.
func TestKitExternal(t *testing.T) {
	testenv.NeedTool(t, "nats-server")
	backendtest.Run(t, func(t testing.TB) backendtest.Bus {
		e := newExternal(t, "nats", withPassword)
		return backendtest.Bus{
			New: func(t testing.TB, id string, o backendtest.Options) backend.Driver {
				return newConn(t, Config{ID: id, URL: e.url, User: "node", Password: "secret", Events: o.Events})
			},
			Break: func(t testing.TB) func() {
				e.kill()
				return func() { e.start(t) }
			},
		}
	}, backendtest.Features{Logs: true})
}

func TestExternalToken(t *testing.T) {
	e := newExternal(t, "nats", "authorization { token: \"s3cret\" }\n")
	run(t, newConn(t, Config{ID: "a", URL: e.url, Token: "s3cret"}))
	if c := newConn(t, Config{ID: "b", URL: e.url, Token: "other"}); !strings.Contains(fmt.Sprint(c.Run(t.Context())), backend.ErrRefused.Error()) {
		t.Error("a wrong token was not refused")
	}
}

func TestExternalTLS(t *testing.T) {
	dir := t.TempDir()
	ca, caKey := certificate(t, dir, "ca", nil, nil)
	certificate(t, dir, "server", ca, caKey)
	certificate(t, dir, "client", ca, caKey)
	certificate(t, dir, "stranger", nil, nil)
	f := func(name string) string { return filepath.Join(dir, name) }
	e := newExternal(t, "tls", fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }\n", f("server.crt"), f("server.key"), f("ca.crt")))
	c := run(t, newConn(t, Config{ID: "a", URL: e.url, CA: f("ca.crt"), Cert: f("client.crt"), Key: f("client.key")}))
	if got := c.Limit(); got != 1<<20-headerRoom {
		t.Errorf("limit %d", got)
	}
	for _, bad := range []Config{
		{CA: f("ca.crt")}, // no certificate of our own
		{CA: f("stranger.crt"), Cert: f("client.crt"), Key: f("client.key")},
		{CA: f("ca.crt"), Cert: f("stranger.crt"), Key: f("stranger.key")},
	} {
		bad.ID, bad.URL = "b", e.url
		c := newConn(t, bad)
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		if err := c.Flush(ctx); err == nil {
			t.Errorf("%+v: is connected", bad)
		} else if c.Status().Trouble == "" {
			t.Errorf("%+v: no trouble told", bad)
		}
		<-done
		cancel()
	}
}

func certificate(t *testing.T, dir, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA: ca == nil, BasicConstraintsValid: true,
	}
	if ca == nil {
		ca, caKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, b := range map[string]*pem.Block{name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}
