package websocket

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// identity is a client that the ACL file knows.
type identity struct {
	name               string
	subscribe, publish []string // prefixes of topics
}

// maySubscribe reports whether everything that a subscription lets in is allowed.
func (i *identity) maySubscribe(prefix string) bool { return i == nil || covered(i.subscribe, prefix) }

// mayPublish reports whether a topic is allowed.
func (i *identity) mayPublish(topic string) bool { return i == nil || covered(i.publish, topic) }

func covered(by []string, topic string) bool {
	for _, p := range by {
		if strings.HasPrefix(topic, p) {
			return true
		}
	}
	return false
}

// acl says who is who: by the hash of a token, by a name in a certificate.
type acl struct {
	tokens map[[sha256.Size]byte]*identity
	names  map[string]*identity
}

func (a *acl) certificates() bool { return len(a.names) > 0 }

// aclFile is the file's form.
type aclFile struct {
	Client []aclClient `toml:"client"`
}

type aclClient struct {
	Name        string   `toml:"name"`
	Token       string   `toml:"token_sha256"`
	Certificate string   `toml:"certificate"`
	Subscribe   []string `toml:"subscribe"`
	Publish     []string `toml:"publish"`
}

func readACL(path string) (*acl, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("acl: %w", err)
	}
	return parseACL(path, text)
}

// parseACL reads the text of an ACL file; unknown keys are errors.
func parseACL(path string, text []byte) (*acl, error) {
	var f aclFile
	dec := toml.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, aclError(path, err)
	}
	a := &acl{tokens: map[[sha256.Size]byte]*identity{}, names: map[string]*identity{}}
	seen := map[string]bool{}
	for i, c := range f.Client {
		bad := func(format string, args ...any) (*acl, error) {
			return nil, fmt.Errorf("%s: client %d %q: %s", path, i+1, c.Name, fmt.Sprintf(format, args...))
		}
		if c.Name == "" || seen[c.Name] {
			return bad("want a name of its own")
		}
		seen[c.Name] = true
		if c.Token == "" && c.Certificate == "" {
			return bad("want token_sha256 or certificate")
		}
		id := &identity{name: c.Name, subscribe: c.Subscribe, publish: c.Publish}
		if c.Token != "" {
			b, err := hex.DecodeString(c.Token)
			if err != nil || len(b) != sha256.Size {
				return bad("token_sha256: want 64 hex digits, from: printf %%s TOKEN | sha256sum")
			}
			sum := [sha256.Size]byte(b)
			if sum == sha256.Sum256(nil) {
				return bad("token_sha256: that is the empty token")
			}
			if a.tokens[sum] != nil {
				return bad("token_sha256: client %q has the same", a.tokens[sum].name)
			}
			a.tokens[sum] = id
		}
		if c.Certificate != "" {
			if a.names[c.Certificate] != nil {
				return bad("certificate: client %q has the same", a.names[c.Certificate].name)
			}
			a.names[c.Certificate] = id
		}
	}
	if len(f.Client) == 0 {
		return nil, fmt.Errorf("%s: no [[client]] in it: nobody could connect", path)
	}
	return a, nil
}

func aclError(path string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var lines []string
		for _, e := range unknown.Errors {
			row, _ := e.Position()
			lines = append(lines, fmt.Sprintf("%s:%d: unknown key %q", path, row, strings.Join(e.Key(), ".")))
		}
		return errors.New(strings.Join(lines, "\n"))
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		row, _ := wrong.Position()
		return fmt.Errorf("%s:%d: %s", path, row, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	return fmt.Errorf("%s: %w", path, err)
}

var errStranger = errors.New("no token and no certificate that the acl file knows")

// who finds out who asks: a certificate counts before a token. The names of a
// certificate are its DNS names and its common name. Tokens are looked up by
// their hash, so the time it takes tells nothing of them.
func (a *acl) who(r *http.Request) (*identity, error) {
	if a == nil {
		return nil, nil
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		if id := a.certified(r.TLS.VerifiedChains[0][0]); id != nil {
			return id, nil
		}
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); strings.EqualFold(scheme, "Bearer") && token != "" {
		if id := a.tokens[sha256.Sum256([]byte(token))]; id != nil {
			return id, nil
		}
	}
	return nil, errStranger
}

func (a *acl) certified(c *x509.Certificate) *identity {
	for _, n := range append(c.DNSNames, c.Subject.CommonName) {
		if id := a.names[n]; id != nil && n != "" {
			return id
		}
	}
	return nil
}
