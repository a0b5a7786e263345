package access

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/picket-nsm/picket/host/audit"
)

// Reasons why a guard refuses, besides a gate's.
const (
	ReasonRole = "role"
	ReasonRate = "rate" // wrong tokens
)

// Denied is a refusal, with the HTTP status that tells of it.
type Denied struct {
	Status int
	Reason string
	Text   string
}

func (d *Denied) Error() string { return d.Text }

// Identify finds out who asks and what they may do; it does not refuse them yet.
// The error is a *Denied.
func (g *Guard) Identify(r *http.Request) (Identity, error) {
	id := Identity{From: Remote(r), Via: g.deps.Via}
	token := bearer(r)
	sum := sha256.Sum256([]byte(token))
	if token != "" {
		if wait := g.guesses.wait(id.From.Addr(), sum, g.deps.Now()); wait > 0 {
			return id, &Denied{http.StatusTooManyRequests, ReasonRate,
				fmt.Sprintf("too many wrong tokens from %s; try again in %d s", id.From.Addr(), int(wait/time.Second)+1)}
		}
	}
	c, err := g.gate.ACL().Who(r)
	switch {
	case err == nil && c != nil:
		if token != "" {
			g.guesses.right(id.From.Addr(), sum)
		}
		id.Name, id.Role = c.Name, c.Role
		return id, nil
	case token != "":
		g.guesses.wrong(id.From.Addr(), g.deps.Now())
		text := "no such token"
		if g.gate.ACL() == nil {
			text = "no tokens are known: acl in [" + g.gate.cfg.Section + "] names the file"
		}
		return id, &Denied{http.StatusUnauthorized, ReasonToken, text}
	case g.gate.Local && !g.deps.Closed:
		id.Role = Read
		return id, nil
	}
	return id, &Denied{http.StatusUnauthorized, ReasonToken, "a token is needed: Authorization: Bearer TOKEN"}
}

// Allow says whether an identity may do what needs a role. The error is a *Denied.
func (g *Guard) Allow(id Identity, need Role) error {
	if id.Role >= need {
		return nil
	}
	if id.Name == "" {
		text := "a token is needed for that: Authorization: Bearer TOKEN"
		if g.gate.ACL() == nil {
			text = "nobody may do that here: acl in [" + g.gate.cfg.Section + "] names the file of those who may"
		}
		return &Denied{http.StatusUnauthorized, ReasonToken, text}
	}
	return &Denied{http.StatusForbidden, ReasonRole, fmt.Sprintf("client %s may not do that: it needs the role %s", Clip(id.Name, 100), need)}
}

// Known says whether an identity has a name: for what even a reader on loopback
// may see only with a token. The error is a *Denied.
func (g *Guard) Known(id Identity) error {
	if id.Name != "" {
		return nil
	}
	return g.Allow(Identity{}, Read)
}

// idKey is where a request's context has its Identity.
type idKey struct{}

// From returns who asks. Without Require before it, that is nobody.
func From(ctx context.Context) Identity {
	id, _ := ctx.Value(idKey{}).(Identity)
	return id
}

// Require lets those through who have a role, and refuses the others.
func (g *Guard) Require(need Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, leave := g.enter(r, need)
		defer leave()
		id, err := g.Identify(r)
		if err == nil {
			err = g.Allow(id, need)
		}
		r = r.WithContext(context.WithValue(ctx, idKey{}, id))
		if err != nil {
			g.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// enter notes a request before it is looked at, so that none slips through while
// the acl file changes. Its context ends with leave, or when it may no longer.
func (g *Guard) enter(r *http.Request, need Role) (ctx context.Context, leave func()) {
	ctx, end := context.WithCancel(r.Context())
	s := &stay{need: need, proof: ProofOf(r), end: end}
	g.mu.Lock()
	g.stays[s] = struct{}{}
	g.mu.Unlock()
	return ctx, func() {
		end()
		g.mu.Lock()
		delete(g.stays, s)
		g.mu.Unlock()
	}
}

// reloaded is told of a change of the acl file: what is being answered to those
// who may no longer have it ends.
func (g *Guard) reloaded(r Reload) {
	trouble := r.Record(g.deps.Log, g.deps.Audit, g.gate.cfg.Name, g.deps.Via)
	if g.deps.Told != nil {
		g.deps.Told(trouble)
	}
	if r.Err != nil {
		g.count("acl.broken", 1)
		return
	}
	acl := g.gate.ACL()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts["acl.taken"]++
	for s := range g.stays {
		if !s.proof.given && len(s.proof.names) == 0 {
			continue // a reader on loopback
		}
		if c, err := acl.Known(s.proof); err != nil || c.Role < s.need {
			s.end()
		}
	}
}

// denied counts, logs and records a refusal; of many alike within a second, one.
func (g *Guard) denied(id Identity, d *Denied, e audit.Entry) {
	told, more := g.refusals.Add(d.Reason, e.Error, id.From)
	if !told {
		return
	}
	e.Actor, e.Outcome, e.More = id.Actor(), audit.Refused, more
	g.record(e)
}

// refuse answers a request that is denied, counts, logs and records it.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var d *Denied
	if !errors.As(err, &d) {
		d = &Denied{http.StatusInternalServerError, "error", err.Error()}
	}
	id := From(r.Context())
	id.From, id.Via = Remote(r), g.deps.Via
	g.denied(id, d, audit.Entry{Op: "request", Error: r.Method + " " + Clip(r.URL.Path, 100) + ": " + d.Text})
	switch d.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(int(guessEvery/time.Second)))
	}
	Fail(w, d.Status, d.Text)
}

// Fail answers with an error, as all of this door's errors are: {"error": TEXT}.
func Fail(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text}) // The client has gone; nobody is left to tell.
}

// Do carries out an operation and records it: done, failed, or refused where the
// identity has not the role Operate, or no record could be written. What must
// not be seen twice in the record, as its doer writes there itself, is marked so
// by Recorded.
func (g *Guard) Do(id Identity, op, on string, f func() error) error {
	g.count("operations", 1)
	e := audit.Entry{Actor: id.Actor(), Op: op, On: on, Outcome: audit.Done}
	if err := g.Allow(id, Operate); err != nil {
		var d *Denied
		if errors.As(err, &d) {
			e.Error = d.Text
			g.denied(id, d, e)
		}
		return err
	}
	if err := g.deps.Audit.Ready(); err != nil {
		g.deps.Log.Error(err.Error())
		return fmt.Errorf("%s %s: refused, as it could not be recorded: %w", op, on, err)
	}
	err := f()
	var seen *recorded
	if errors.As(err, &seen) {
		return seen.err
	}
	if err != nil {
		e.Outcome, e.Error = audit.Failed, err.Error()
	}
	g.record(e)
	return err
}

// Recorded marks the outcome of an operation, nil too, that its doer has written
// into the record itself.
func Recorded(err error) error { return &recorded{err} }

type recorded struct{ err error }

func (r *recorded) Error() string {
	if r.err == nil {
		return "recorded"
	}
	return r.err.Error()
}

func (r *recorded) Unwrap() error { return r.err }

// Who may guess how often: a few wrong tokens at once, then one each guessEvery.
const (
	guessBurst = 10
	guessEvery = 6 * time.Second
	maxGuesses = 4096 // addresses remembered
	maxRight   = 1024 // pairs of address and token remembered
)

// guesses remembers from where wrong tokens came. An address that has used up its
// guesses is refused, whatever it sends, but for tokens that came in from there
// before: so nobody guesses on, and nobody locks out who is in.
type guesses struct {
	mu    sync.Mutex
	from  map[netip.Addr]*guessed
	known map[knownFrom]struct{}
}

type guessed struct {
	left float64
	at   time.Time
}

type knownFrom struct {
	from  netip.Addr
	token [sha256.Size]byte
}

// source is whom an address stands for: in IPv6 a whole /64 is one's.
func source(a netip.Addr) netip.Addr {
	if a.Is4() || a.Is4In6() {
		return a.Unmap()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

func (g *guesses) wait(a netip.Addr, token [sha256.Size]byte, now time.Time) time.Duration {
	a = source(a)
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.known[knownFrom{a, token}]; ok {
		return 0
	}
	x := g.from[a]
	if x == nil {
		return 0
	}
	x.fill(now)
	if x.left >= 1 {
		return 0
	}
	return time.Duration((1 - x.left) * float64(guessEvery))
}

func (x *guessed) fill(now time.Time) {
	if d := now.Sub(x.at); d > 0 {
		x.left = min(guessBurst, x.left+float64(d)/float64(guessEvery))
		x.at = now
	}
}

func (g *guesses) wrong(a netip.Addr, now time.Time) {
	a = source(a)
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.from[a]
	if x == nil {
		if g.from == nil {
			g.from = map[netip.Addr]*guessed{}
		}
		g.forget(now)
		x = &guessed{left: guessBurst, at: now}
		g.from[a] = x
	}
	x.fill(now)
	x.left = max(0, x.left-1)
}

// forget makes room: first those who could guess at full burst again, then any.
func (g *guesses) forget(now time.Time) {
	if len(g.from) < maxGuesses {
		return
	}
	for a, x := range g.from {
		if x.fill(now); x.left >= guessBurst {
			delete(g.from, a)
		}
	}
	for a := range g.from {
		if len(g.from) < maxGuesses {
			return
		}
		delete(g.from, a)
	}
}

func (g *guesses) right(a netip.Addr, token [sha256.Size]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known == nil {
		g.known = map[knownFrom]struct{}{}
	}
	k := knownFrom{source(a), token}
	if _, ok := g.known[k]; !ok && len(g.known) >= maxRight {
		clear(g.known)
	}
	g.known[k] = struct{}{}
}
