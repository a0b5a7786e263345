package websocket_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/internal/testcert"
)

func file(t *testing.T, dir, name, text string) string {
	t.Helper()
	f := filepath.Join(dir, name)
	if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Who asks from elsewhere, or for elsewhere, does not come in on loopback.
func TestHostAndOrigin(t *testing.T) {
	w := open(t, websocket.Config{Hosts: []string{"sensor-7"}, Origins: []string{"https://soc.example"}}, nil)
	port := w.address()[strings.LastIndex(w.address(), ":"):]
	const bad = http.StatusForbidden
	for _, c := range []struct {
		host, origin string
		status       int
	}{
		{"", "", 101},
		{"localhost", "", 101}, {"LOCALHOST" + port, "", 101}, {"127.0.0.1", "", 101}, {"127.9.9.9:1", "", 101}, {"[::1]" + port, "", 101},
		{"sensor-7" + port, "", 101},
		{"evil.example", "", bad}, {"evil.example" + port, "", bad}, {"127.0.0.1.evil.example", "", bad}, {"10.0.0.1", "", bad}, {"0.0.0.0", "", bad},
		{"localhost" + port, "http://localhost" + port, 101}, {"127.0.0.1" + port, "http://127.0.0.1" + port, 101},
		{"", "https://soc.example", 101},
		{"", "http://soc.example", bad}, {"", "http://evil.example", bad}, {"", "null", bad}, {"", "http://localhost:1", bad}, {"", "file://", bad}, {"", "", 101},
		{"evil.example" + port, "http://evil.example" + port, bad},
	} {
		h := http.Header{}
		if c.host != "" {
			h["Host"] = []string{c.host}
		}
		if c.origin != "" {
			h["Origin"] = []string{c.origin}
		}
		if status, body := w.try(h); status != c.status || status == bad && !strings.Contains(body, "may name it") {
			t.Errorf("host %q origin %q: %d %s", c.host, c.origin, status, body)
		}
	}
	if status, _ := w.try(http.Header{"Origin": {"https://soc.example", "http://evil.example"}}); status != bad {
		t.Errorf("two origins: %d", status)
	}
	n := w.door.Counters()
	if n["refused.host"] != 6 || n["refused.origin"] != 6 {
		t.Errorf("%v", n)
	}
	if !strings.Contains(w.log.String(), "websocket: refused: host evil.example is not this machine") {
		t.Error(w.log.String())
	}
}

func TestTokensAndCertificates(t *testing.T) {
	ca, other := testcert.New(t), testcert.New(t)
	cert, key := ca.Sign("door", nil)
	acl := file(t, t.TempDir(), "acl.toml", `
[[client]]
name = "soc"
token_sha256 = "`+hash("secret-1")+`"
subscribe = ["zeek/", "soc/"]
publish = ["soc/"]

[[client]]
name = "sensor"
certificate = "sensor.example"
subscribe = [""]
publish = [""]

[[client]]
name = "reader"
token_sha256 = "`+hash("secret-2")+`"
subscribe = ["zeek/"]
`)
	w := open(t, websocket.Config{Cert: cert, Key: key, ClientCA: ca.File, ACL: acl}, nil)
	if !strings.HasPrefix(w.url, "wss://") {
		t.Error(w.url)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	with := func(a *testcert.Authority, names ...string) *tls.Config {
		cfg := &tls.Config{RootCAs: roots}
		if a != nil {
			c, k := a.Sign(names[0], names[1:])
			pair, err := tls.LoadX509KeyPair(c, k)
			if err != nil {
				t.Fatal(err)
			}
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		return cfg
	}
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	for name, c := range map[string]struct {
		tls    *tls.Config
		header http.Header
		status int
	}{
		"nothing":             {with(nil), nil, 401},
		"token":               {with(nil), bearer("secret-1"), 101},
		"lower case scheme":   {with(nil), http.Header{"Authorization": {"bearer secret-1"}}, 101},
		"wrong token":         {with(nil), bearer("secret-3"), 401},
		"part of a token":     {with(nil), bearer("secret-"), 401},
		"hash for token":      {with(nil), bearer(hash("secret-1")), 401},
		"empty token":         {with(nil), bearer(""), 401},
		"basic":               {with(nil), http.Header{"Authorization": {"Basic secret-1"}}, 401},
		"certificate":         {with(ca, "sensor.example"), nil, 101},
		"certificate's DNS":   {with(ca, "x", "y", "sensor.example"), nil, 101},
		"unknown certificate": {with(ca, "z"), nil, 401},
		"unknown, and token":  {with(ca, "z"), bearer("secret-2"), 101},
		"foreign authority":   {with(other, "sensor.example"), nil, 0},
	} {
		w.tls = c.tls
		if status, body := w.try(c.header); status != c.status || status == 401 && body != "no token and no certificate that the acl file knows" {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}

	w.tls = with(nil)
	soc := w.dial(websocket.PathV1, "Authorization", "Bearer secret-1")
	soc.subscribe("zeek/", "soc/alerts")
	denied := func(what string) string {
		return `{"type":"error","code":"access_denied","context":"client ` + what + `"}`
	}
	soc.send(message("zeek/control", "e", 1))
	soc.want(denied("soc may not publish to zeek/control"))
	for _, topic := range []string{"", "z", "zeek.", "soc"} {
		c := w.dial(websocket.PathV1, "Authorization", "Bearer secret-1")
		c.send(`["zeek/x","` + topic + `"]`)
		c.want(denied("soc may not subscribe to " + topic))
		c.closed(1008, "client soc may not subscribe to "+topic)
	}
	reader := w.dial(websocket.PathV1, "Authorization", "Bearer secret-2")
	reader.subscribe("zeek/x")
	reader.send(message("zeek/x", "e", 1))
	reader.want(denied("reader may not publish to zeek/x"))
	w.tls = with(ca, "sensor.example")
	sensor := w.dial(websocket.PathV1)
	sensor.subscribe("")
	soc.send(message("soc/alerts", "e", 1))
	sensor.want(text("soc/alerts", "e", count(1)))
	sensor.send(message("zeek/x", "e", 2))
	reader.want(text("zeek/x", "e", count(2)))
	soc.want(text("zeek/x", "e", count(2)))
	if n := w.door.Counters(); n["refused.publish"] != 2 || n["refused.subscribe"] != 4 || n["refused.token"] != 7 {
		t.Errorf("%v", n)
	}
}

// Wrong tokens at a rate fill no log and keep nobody out.
func TestTokensAtRate(t *testing.T) {
	acl := file(t, t.TempDir(), "acl.toml", "[[client]]\nname = \"a\"\ntoken_sha256 = \""+hash("right")+"\"\n")
	w := open(t, websocket.Config{ACL: acl}, nil)
	const tries = 500
	for i := range tries {
		if status, _ := w.try(http.Header{"Authorization": {fmt.Sprintf("Bearer wrong-%d", i)}}); status != 401 {
			t.Fatal(status)
		}
	}
	w.dial(websocket.PathV1, "Authorization", "Bearer right").subscribe()
	if n := w.door.Counters()["refused.token"]; n != tries {
		t.Errorf("%d refused", n)
	}
	w.stop()
	lines := strings.Split(w.log.String(), "\n")
	if len(lines) > tries/10 || !strings.Contains(lines[len(lines)-1], "more=") {
		t.Errorf("%d lines, the last %s", len(lines), lines[len(lines)-1])
	}
	if strings.Contains(w.log.String(), "wrong-") {
		t.Error("a token is in the log")
	}
}

// The acl file is taken while the door is open. Who is gone from it, or may no
// longer have what it has, is closed and told why; others keep their connection.
func TestFileChanges(t *testing.T) {
	dir := t.TempDir()
	client := func(name, topics string) string {
		return "[[client]]\nname = \"" + name + "\"\ntoken_sha256 = \"" + hash(name) + "\"\nsubscribe = [" + topics + "]\npublish = [" + topics + "]\n"
	}
	acl := file(t, dir, "acl.toml", client("stays", `"a/"`)+client("less", `"a/", "b/"`)+client("gone", `"a/"`))
	w := open(t, websocket.Config{ACL: acl}, nil)
	dial := func(name string, topics ...string) *conn {
		c := w.dial(websocket.PathV1, "Authorization", "Bearer "+name)
		c.subscribe(topics...)
		return c
	}
	stays, less, gone := dial("stays", "a/"), dial("less", "a/", "b/x"), dial("gone", "a/")
	write := func(text string) { // whole, as editors do
		if err := os.Rename(file(t, dir, "tmp", text), acl); err != nil {
			t.Fatal(err)
		}
	}
	write(client("stays", `"a/", "c/"`) + client("less", `"a/"`) + client("new", `"a/"`))
	denied := func(text string) string { return `{"type":"error","code":"access_denied","context":"` + text + `"}` }
	gone.want(denied("the acl file no longer knows this client"))
	gone.closed(1008, "the acl file no longer knows this client")
	less.want(denied("client less may not subscribe to b/x"))
	less.closed(1008, "client less may not subscribe to b/x")
	until(t, "all have been looked at", func() bool { return w.door.Counters()["acl.taken"] == 1 })
	fresh := dial("new", "a/")
	stays.send(message("c/1", "e", 1)) // may do so now
	stays.send(message("a/1", "e", 2))
	fresh.want(text("a/1", "e", count(2)))
	if status, _ := w.try(http.Header{"Authorization": {"Bearer gone"}}); status != http.StatusUnauthorized {
		t.Errorf("who is gone comes in: %d", status)
	}

	write("[[client]]\n")
	until(t, "the mistake is told", func() bool { return w.door.Counters()["acl.broken"] == 1 })
	fresh.send(message("a/2", "e", 3))
	stays.want(text("a/2", "e", count(3)))
	if n := w.door.Counters(); n["acl.taken"] != 1 || n["refused.publish"] != 0 || n["refused.subscribe"] != 2 {
		t.Errorf("%v", n)
	}
	for _, says := range []string{"is taken: new new; gone gone; changed less, stays", "the file as it was before still counts"} {
		if !strings.Contains(w.log.String(), says) {
			t.Errorf("no %q in the log:\n%s", says, w.log.String())
		}
	}
}

func TestSettings(t *testing.T) {
	dir := t.TempDir()
	ca := testcert.New(t)
	cert, key := ca.Sign("door", nil)
	acl := func(text string) string { return file(t, dir, "acl.toml", text) }
	good := "[[client]]\nname = \"a\"\ntoken_sha256 = \"" + hash("x") + "\"\n"
	for _, c := range []struct {
		cfg  func() websocket.Config
		want string
	}{
		{func() websocket.Config { return websocket.Config{Listen: "27759"} }, `listen "27759": want address and port, as 127.0.0.1:27759`},
		{func() websocket.Config { return websocket.Config{Listen: "sensor:27759"} }, `listen "sensor:27759": want the address as a number, as 127.0.0.1:27759`},
		{func() websocket.Config { return websocket.Config{Listen: "0.0.0.0:0"} }, "listen 0.0.0.0:0: not loopback, so an acl file must say who may do what"},
		{func() websocket.Config { return websocket.Config{Listen: "[::]:0", ACL: acl(good)} }, "listen [::]:0: not loopback, so cert and key are needed: tokens and events would be readable on the way"},
		{func() websocket.Config { return websocket.Config{Cert: cert} }, "cert and key belong together"},
		{func() websocket.Config { return websocket.Config{ClientCA: ca.File} }, "client_ca needs cert and key, and an acl file that names the certificates"},
		{func() websocket.Config {
			return websocket.Config{ACL: acl("[[client]]\nname = \"a\"\ncertificate = \"b\"\n"), Cert: cert, Key: key}
		},
			"acl " + dir + "/acl.toml names certificates: say client_ca, who signs them"},
		{func() websocket.Config { return websocket.Config{ACL: acl("")} }, dir + "/acl.toml: no [[client]] in it: nobody could connect"},
		{func() websocket.Config { return websocket.Config{ACL: acl(good + "subscribes = []\n[other]\n")} },
			dir + "/acl.toml:4: unknown key \"client.subscribes\"\n" + dir + "/acl.toml:5: unknown key \"other\""},
		{func() websocket.Config { return websocket.Config{ACL: acl("x")} }, dir + "/acl.toml:1: "},
		{func() websocket.Config { return websocket.Config{ACL: acl("[[client]]\nname = 1\n")} }, dir + "/acl.toml:2: "},
		{func() websocket.Config { return websocket.Config{ACL: acl("[[client]]\nname = \"a\"\n")} }, dir + `/acl.toml: client 1 "a": want token_sha256 or certificate`},
		{func() websocket.Config { return websocket.Config{ACL: acl("[[client]]\ntoken_sha256 = \"a\"\n")} }, dir + `/acl.toml: client 1 "": want a name of its own`},
		{func() websocket.Config {
			return websocket.Config{ACL: acl("[[client]]\nname = \"a\"\ntoken_sha256 = \"a\"\n")}
		},
			dir + `/acl.toml: client 1 "a": token_sha256: want 64 hex digits, from: printf %s TOKEN | sha256sum`},
		{func() websocket.Config {
			return websocket.Config{ACL: acl("[[client]]\nname = \"a\"\ntoken_sha256 = \"" + hash("") + "\"\n")}
		},
			dir + `/acl.toml: client 1 "a": token_sha256: that is the empty token`},
		{func() websocket.Config {
			return websocket.Config{ACL: acl(good + strings.Replace(good, `"a"`, `"b"`, 1))}
		},
			dir + `/acl.toml: client 2 "b": token_sha256: client "a" has the same`},
		{func() websocket.Config { return websocket.Config{ACL: dir + "/none"} }, "acl: open " + dir + "/none: no such file or directory"},
		{func() websocket.Config {
			return websocket.Config{Declarations: []string{file(t, dir, "e.zeek", "type A: set[;")}}
		}, "declarations: " + dir + `/e.zeek:1: want a name, not ";"`},
		{func() websocket.Config { return websocket.Config{DeclaredOnly: true} }, "declared_only needs declarations"},
	} {
		_, err := websocket.New(c.cfg(), websocket.Deps{Now: time.Now, Codec: brokerbin.New(), Bus: mem.NewBus(mem.Config{}).Endpoint("a")})
		if err == nil || !strings.HasPrefix(err.Error(), "open websocket api: "+c.want) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}
