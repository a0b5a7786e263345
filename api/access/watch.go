package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/picket-nsm/picket/host/audit"
)

// aclEvery is how often the acl file is looked at. It is taken when it has not
// changed between two looks: nobody writes it any more.
const aclEvery = time.Second

// Proof is what a request says of who asks. It can be asked about again when the
// acl file has changed.
type Proof struct {
	names []string // of a certificate, verified
	token [sha256.Size]byte
	given bool // a token
}

// ProofOf is the proof that a request carries.
func ProofOf(r *http.Request) Proof {
	var p Proof
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c := r.TLS.VerifiedChains[0][0]
		p.names = append(slices.Clone(c.DNSNames), c.Subject.CommonName)
	}
	if token := bearer(r); token != "" {
		p.token, p.given = sha256.Sum256([]byte(token)), true
	}
	return p
}

// Reload is what became of an acl file that has changed.
type Reload struct {
	File string
	What string // who is new, gone, or may something else; empty: nobody
	Err  error  // why the old one still counts
}

// Record notes it in a log and in the audit log. door is for people, via names it
// in the record. It returns what status is to tell, or "".
func (r Reload) Record(log *slog.Logger, a *audit.Log, door, via string) (trouble string) {
	e := audit.Entry{Actor: audit.Actor{From: "file " + r.File, Via: via}, Op: "acl", Outcome: audit.Done, What: r.What}
	if r.Err != nil {
		trouble = r.Err.Error() + "; the file as it was before still counts"
		e.Outcome, e.Error = audit.Failed, r.Err.Error()
		log.Error(door + ": " + trouble)
	} else {
		log.Info(door + ": acl " + r.File + " is taken: " + cmp.Or(r.What, "it means the same"))
	}
	if err := a.Add(e); err != nil {
		log.Error(err.Error())
	}
	return trouble
}

// Watch looks at the acl file until ctx ends, and takes it when it has changed. A
// file with a mistake changes nothing. done is told of each change, and of each
// mistake once, on the goroutine of Watch. It is called once.
func (g *Gate) Watch(ctx context.Context, done func(Reload)) {
	if g.cfg.ACL == "" {
		return
	}
	tick := time.NewTicker(aclEvery)
	defer tick.Stop()
	before, trouble := g.read, ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := stampOf(g.cfg.ACL)
		settled := now == before
		before = now
		// A mistake is looked at again: that it may not be read is no part of the stamp.
		if !settled || now == g.read && trouble == "" {
			continue
		}
		fresh, err := g.readACL()
		if err != nil {
			g.read = now
			if trouble != err.Error() {
				trouble = err.Error()
				done(Reload{File: g.cfg.ACL, Err: err})
			}
			continue
		}
		g.read, trouble = now, ""
		old := g.acl.Swap(fresh)
		done(Reload{File: g.cfg.ACL, What: fresh.since(old)})
	}
}

// readACL reads the file and checks that it goes with the settings.
func (g *Gate) readACL() (*ACL, error) {
	a, err := ReadACL(g.cfg.ACL)
	if err == nil && a.Certificates() && g.cfg.ClientCA == "" && !g.cfg.TokensOnly {
		err = fmt.Errorf("acl %s names certificates: say client_ca, who signs them", g.cfg.ACL)
	}
	return a, err
}

// stamp tells a file from what it was. The zero stamp is of none.
type stamp struct {
	size int64
	mod  time.Time
	mode os.FileMode
	file uint64 // which one, where the system says
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime(), info.Mode(), inode(info)}
}

// since says what is not as it was in an older file.
func (a *ACL) since(old *ACL) string {
	was, is := old.clients(), a.clients()
	var fresh, gone, other []string
	for name, c := range is {
		switch o := was[name]; {
		case o == nil:
			fresh = append(fresh, name)
		case c.line() != o.line():
			other = append(other, name)
		}
	}
	for name := range was {
		if is[name] == nil {
			gone = append(gone, name)
		}
	}
	var out []string
	for _, x := range []struct {
		what  string
		names []string
	}{{"new", fresh}, {"gone", gone}, {"changed", other}} {
		if len(x.names) > 0 {
			slices.Sort(x.names)
			out = append(out, x.what+" "+strings.Join(x.names, ", "))
		}
	}
	return Clip(strings.Join(out, "; "), 200)
}

func (a *ACL) clients() map[string]*Client {
	out := map[string]*Client{}
	if a == nil {
		return out
	}
	for _, c := range a.tokens {
		out[c.Name] = c
	}
	for _, c := range a.names {
		out[c.Name] = c
	}
	return out
}

// line is all that the file says of a client.
func (c *Client) line() string {
	return fmt.Sprintf("%s %v %q %q %s", c.Name, c.Role, c.subscribe, c.publish, c.proof)
}
