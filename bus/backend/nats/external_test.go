package nats

import (
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
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/backendtest"
	"github.com/picket-nsm/picket/internal/natsd"
	"github.com/picket-nsm/picket/internal/testenv"
)

const withPassword = "max_payload: 2MB\nauthorization { user: node, password: secret }\n"

// The kit over Debian's nats-server, its death by SIGKILL.
func TestKitExternal(t *testing.T) {
	testenv.NeedTool(t, "nats-server")
	backendtest.Run(t, func(t testing.TB) backendtest.Bus {
		e := natsd.New(t, withPassword)
		return backendtest.Bus{
			New: func(t testing.TB, id string, o backendtest.Options) backend.Driver {
				return newConn(t, Config{ID: id, URL: e.URL("nats"), User: "node", Password: "secret", Events: o.Events})
			},
			Break: func(t testing.TB) func() {
				e.Kill()
				return func() { e.Start(t) }
			},
		}
	}, backendtest.Features{Logs: true})
}

func TestExternalToken(t *testing.T) {
	e := natsd.New(t, "authorization { token: \"s3cret\" }\n")
	run(t, newConn(t, Config{ID: "a", URL: e.URL("nats"), Token: "s3cret"}))
	if c := newConn(t, Config{ID: "b", URL: e.URL("nats"), Token: "other"}); !strings.Contains(fmt.Sprint(c.Run(t.Context())), backend.ErrRefused.Error()) {
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
	e := natsd.New(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }\n", f("server.crt"), f("server.key"), f("ca.crt")))
	c := run(t, newConn(t, Config{ID: "a", URL: e.URL("tls"), CA: f("ca.crt"), Cert: f("client.crt"), Key: f("client.key")}))
	if got := c.Limit(); got != 1<<20-headerRoom {
		t.Errorf("limit %d", got)
	}
	for _, bad := range []Config{
		{CA: f("ca.crt")}, // no certificate of our own
		{CA: f("stranger.crt"), Cert: f("client.crt"), Key: f("client.key")},
		{CA: f("ca.crt"), Cert: f("stranger.crt"), Key: f("stranger.key")},
	} {
		bad.ID, bad.URL = "b", e.URL("tls")
		c := newConn(t, bad)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		for end := time.Now().Add(time.Minute); c.Status().Trouble == "" && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		soon, over := context.WithTimeout(ctx, 500*time.Millisecond)
		if err := c.Flush(soon); err == nil {
			t.Errorf("%+v: is connected", bad)
		} else if c.Status().Trouble == "" {
			t.Errorf("%+v: no trouble told", bad)
		}
		over()
		cancel()
		<-done
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
