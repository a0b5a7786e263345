// Package testcert makes an authority and certificates for tests of doors, as
// files in a folder of the test.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates into Dir. Cert, and File, is its own.
type Authority struct {
	Dir, File string
	Cert      *x509.Certificate

	t   testing.TB
	key *ecdsa.PrivateKey
}

// New makes one.
func New(t testing.TB) *Authority {
	a := &Authority{t: t, Dir: t.TempDir()}
	a.File, _ = a.Sign("ca", nil)
	return a
}

// Sign makes a certificate for a name, with 127.0.0.1 beside its DNS names, and
// returns the files of it and its key.
func (a *Authority) Sign(name string, dns []string) (cert, key string) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: dns,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: a.Cert == nil, BasicConstraintsValid: true,
	}
	parent, signer := a.Cert, a.key
	if parent == nil {
		parent, signer = c, k
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &k.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.Cert == nil {
		a.key = k
		if a.Cert, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".crt", "CERTIFICATE", der), a.write(name+".key", "PRIVATE KEY", pk)
}

func (a *Authority) write(name, typ string, der []byte) string {
	f := filepath.Join(a.Dir, name)
	if err := os.WriteFile(f, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return f
}
