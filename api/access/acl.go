package access

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Role is what a client may do to the cluster.
type Role int

// The roles; each may do what those before it may.
const (
	None    Role = iota
	Read         // see status, states, what nodes print
	Operate      // stop, kill, restart
)

// String is the role as the acl file has it.
func (r Role) String() string {
	switch r {
	case Read:
		return "read"
	case Operate:
		return "operate"
	}
	return ""
}

// parseRole reads it. The empty text is None.
func parseRole(s string) (Role, bool) {
	for _, r := range []Role{None, Read, Operate} {
		if r.String() == s {
			return r, true
		}
	}
	return None, false
}

// Client is one that the acl file knows.
type Client struct {
	Name string
	Role Role // at the control door

	subscribe, publish []string // prefixes of topics, at the door for events
	proof              string   // token_sha256 and certificate
}

// MaySubscribe reports whether everything that a subscription lets in is
// allowed. The nil client, where there is no acl file, may all.
func (c *Client) MaySubscribe(prefix string) bool { return c == nil || covered(c.subscribe, prefix) }

// MayPublish reports whether a topic is allowed.
func (c *Client) MayPublish(topic string) bool { return c == nil || covered(c.publish, topic) }

func covered(by []string, topic string) bool {
	for _, p := range by {
		if strings.HasPrefix(topic, p) {
			return true
		}
	}
	return false
}

// ACL says who is who: by the hash of a token, by a name in a certificate. It
// does not change: where its file does, there is another one.
type ACL struct {
	tokens map[[sha256.Size]byte]*Client
	names  map[string]*Client
}

// Certificates reports whether any client is known by one.
func (a *ACL) Certificates() bool { return a != nil && len(a.names) > 0 }

// aclFile is the file's form.
type aclFile struct {
	Client []aclClient `toml:"client"`
}

type aclClient struct {
	Name        string   `toml:"name"`
	Token       string   `toml:"token_sha256"`
	Certificate string   `toml:"certificate"`
	Role        string   `toml:"role"`
	Subscribe   []string `toml:"subscribe"`
	Publish     []string `toml:"publish"`
}

// ReadACL reads a file.
func ReadACL(path string) (*ACL, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("acl: %w", err)
	}
	return ParseACL(path, text)
}

// ParseACL reads the text of an acl file; unknown keys are errors.
func ParseACL(path string, text []byte) (*ACL, error) {
	var f aclFile
	dec := toml.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, aclError(path, err)
	}
	a := &ACL{tokens: map[[sha256.Size]byte]*Client{}, names: map[string]*Client{}}
	seen := map[string]bool{}
	for i, c := range f.Client {
		bad := func(format string, args ...any) (*ACL, error) {
			return nil, fmt.Errorf("%s: client %d %q: %s", path, i+1, c.Name, fmt.Sprintf(format, args...))
		}
		if c.Name == "" || seen[c.Name] {
			return bad("want a name of its own")
		}
		seen[c.Name] = true
		if c.Token == "" && c.Certificate == "" {
			return bad("want token_sha256 or certificate")
		}
		role, ok := parseRole(c.Role)
		if !ok {
			return bad("role %q: want read, operate, or none at all", c.Role)
		}
		id := &Client{Name: c.Name, Role: role, subscribe: c.Subscribe, publish: c.Publish, proof: strings.ToLower(c.Token) + " " + c.Certificate}
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
				return bad("token_sha256: client %q has the same", a.tokens[sum].Name)
			}
			a.tokens[sum] = id
		}
		if c.Certificate != "" {
			if a.names[c.Certificate] != nil {
				return bad("certificate: client %q has the same", a.names[c.Certificate].Name)
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

// ErrStranger says that a client is not known.
var ErrStranger = errors.New("no token and no certificate that the acl file knows")

// Who finds out who asks: a certificate counts before a token. The names of a
// certificate are its DNS names and its common name. Tokens are looked up by
// their hash, so the time it takes tells nothing of them. Without a file, the
// nil client asks.
func (a *ACL) Who(r *http.Request) (*Client, error) { return a.Known(ProofOf(r)) }

// Known is Who for a proof that was taken earlier.
func (a *ACL) Known(p Proof) (*Client, error) {
	if a == nil {
		return nil, nil
	}
	for _, n := range p.names {
		if c := a.names[n]; c != nil && n != "" {
			return c, nil
		}
	}
	if c := a.tokens[p.token]; c != nil && p.given {
		return c, nil
	}
	return nil, ErrStranger
}

// bearer is the token of a request, or "".
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
