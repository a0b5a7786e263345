package ocsp

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	"github.com/picket-nsm/picket/policy/builtin/files/filestest"
	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// load reads a response made with openssl 3.0 for certificate 1234 of our CA.
func load(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	der, err := hex.DecodeString(strings.ReplaceAll(string(b), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// rig gives responses to a Log.
type rig struct {
	conn *filestest.Conn
	rows []string
}

func newRig() *rig {
	r := &rig{}
	log := New(func(row []value.Value) { r.rows = append(r.rows, rowstest.Show(Schema(), row, "ts", "id")) },
		func(_ packet.Time, name, addl string) { r.rows = append(r.rows, name+" "+addl[:1]) })
	r.conn = filestest.New(fileslog.Driver{Name: Name, Types: []string{Type}, New: log.Analyzer})
	return r
}

func (r *rig) send(b []byte) []string {
	r.rows = nil
	r.conn.Give("SSL", Type, b)
	return r.rows
}

func TestRows(t *testing.T) {
	r := newRig()
	// As openssl ocsp -resp_text shows them.
	const id = `hashAlgorithm="sha1" issuerNameHash="2C3E2DBF2465F2A0DEA28CB4D694D38497A309C0" ` +
		`issuerKeyHash="3E5964A26EB33BD64AA759709CD7E19E5D7E2DDA" serialNumber="1234" `
	const update = " thisUpdate=1795316006.0 nextUpdate=1795402406.0"
	for _, c := range []struct{ name, want string }{
		{"resp", id + `certStatus="good"` + update},
		{"revoked", id + `certStatus="revoked" revoketime=1704067200.0 revokereason="keyCompromise"` + update},
	} {
		if rows := r.send(load(t, c.name)); len(rows) != 1 || rows[0] != c.want {
			t.Errorf("%s: %q, want %q", c.name, rows, c.want)
		}
	}
	if rows := r.send([]byte("nothing")); fmt.Sprint(rows) != "[openssl_ocsp_response_parse_error F]" {
		t.Errorf("%q", rows)
	}
	// Only a state: try later.
	if rows := r.send([]byte{0x30, 3, 0x0a, 1, 3}); len(rows) != 0 {
		t.Errorf("%q", rows)
	}
}

// A response that is cut has nothing to say but that it is broken.
func TestTruncated(t *testing.T) {
	r := newRig()
	b := load(t, "revoked")
	for n := 1; n < len(b); n++ {
		if rows := r.send(b[:n]); fmt.Sprint(rows) != "[openssl_ocsp_response_parse_error F]" {
			t.Fatalf("%d of %d bytes: %q", n, len(b), rows)
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add(load(f, "resp"))
	f.Add(load(f, "revoked"))
	r := newRig()
	f.Fuzz(func(t *testing.T, b []byte) { r.send(b) })
}
