// Package ssh reads what SSH says before it encrypts, and guesses from the sizes
// of what follows whether a login succeeded.
//
// It stands between flow, which hands it the bytes of a connection, and policy,
// which implements Handler. It owns, per direction, a line or packet of the key
// exchange that TCP has cut. It parses as Zeek 9.0 does, with Zeek's weirds. It
// never decrypts anything and keeps nothing of what is encrypted but sizes.
//
// Sources: RFC 4253, 4419, 4432, 4462, 5656, 9142; the SSH 1.5 draft.
package ssh

import (
	"strconv"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/zeek/value"
)

// Source is what SSH weirds show in their source column.
const Source = "SSH"

// service is the name in conn.log's service column.
const service = "ssh"

// maxFree is how many finished analyzers are kept for reuse, keepBuf the largest
// buffer that is kept with one.
const (
	maxFree = 1024
	keepBuf = 4096
)

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. All bytes are borrowed. A Handler belongs to one
// connection at a time; after End it is given to another one.
type Handler interface {
	// Version is the line with which a side begins, without its end.
	Version(c analyzer.Conn, orig bool, line []byte)
	// Kexinit is what a side offers.
	Kexinit(c analyzer.Conn, k *Kexinit)
	// HostKey is the fingerprint of the server's key.
	HostKey(c analyzer.Conn, fingerprint []byte)
	// Auth says that an attempt to log in was seen. If it returns true the
	// analyzer has seen enough of this connection.
	Auth(c analyzer.Conn, success bool) (enough bool)
	// End says that the connection is going.
	End(c analyzer.Conn)
}

// The lists of a Kexinit, in their order (RFC 4253 section 7.1).
const (
	Kex = iota
	HostKeys
	CipherUp // from client to server
	CipherDown
	MACUp
	MACDown
	CompressionUp
	CompressionDown
	LanguageUp
	LanguageDown
	numLists
)

// Kexinit is what a side offers: lists of names with commas between, the
// preferred ones first, cut behind Config.MaxNames names.
type Kexinit struct {
	Server bool
	Lists  [numLists][]byte
}

// Config is what a user may set.
type Config struct {
	MaxPacket int // bytes that a packet of the key exchange may claim
	MaxString int // bytes that a string may claim
	MaxNames  int // names in a list
	MaxHeld   int // bytes of a cut packet or line that are held; more, and the connection is left alone
}

// Default returns the settings of Zeek's default scripts; MaxHeld is ours.
func Default() Config {
	return Config{MaxPacket: 8 << 20, MaxString: 2 << 20, MaxNames: 100, MaxHeld: 256 << 10}
}

// Factory returns the factory of one worker; it and all its analyzers are used
// by one goroutine. newHandler is called for an analyzer that is made, not for
// one that is used again.
func Factory(cfg Config, newHandler func() Handler) analyzer.Factory {
	s := &shared{cfg: cfg, free: freelist.New[*ssh](maxFree)}
	return analyzer.Factory{
		Name:       "SSH",
		Ports:      []analyzer.Port{{Num: 22, Proto: value.ProtoTCP}},
		Signatures: signatures.SSH(),
		New: func(value.Proto) analyzer.Analyzer {
			if a := s.free.Take(); a != nil {
				return a
			}
			return &ssh{s: s, h: newHandler()}
		},
	}
}

// shared is what the analyzers of a worker have in common.
type shared struct {
	cfg  Config
	k    Kexinit
	free freelist.List[*ssh]
}

// What a direction is at.
const (
	atVersion = iota
	atKexinit
	atDH
	atGEX
	atECC
	atGSS
	atRSA
	encrypted
)

// Versions of the protocol.
const (
	unknown = iota
	ssh1
	ssh2
	ssh199 // both
)

// side is one direction.
type side struct {
	state   uint8
	version uint8
	skipLF  bool   // the line ended with CR: a LF belongs to it
	need    int    // bytes of the packet at hand; 0: not known yet
	capped  uint32 // what it claims, bounded
	buf     []byte
}

// ssh is the analyzer of one connection.
type ssh struct {
	s    *shared
	h    Handler
	dir  [2]side
	done bool // nothing more is looked at
	gap  bool
	busy bool // a call is running
	over bool // End came while busy

	version uint8
	kexSeen bool
	kexOrig bool
	kexAlgs []byte // of the side that came first
	auth    auth
	digest  [32]byte
	addl    [48]byte
	finger  [39]byte
}

// Deliver implements analyzer.Analyzer.
func (a *ssh) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if a.done || a.gap {
		return
	}
	if analyzer.Partial(c) {
		return
	}
	a.busy = true
	a.feed(c, orig, data)
	a.busy = false
	if a.over {
		a.over = false
		a.End(c)
	}
}

// Gap implements analyzer.Analyzer: nothing can be said after one.
func (a *ssh) Gap(analyzer.Conn, bool, uint64) { a.gap = true }

// End implements analyzer.Analyzer.
func (a *ssh) End(c analyzer.Conn) {
	if a.busy {
		a.over = true
		return
	}
	a.h.End(c)
	for i := range a.dir {
		a.dir[i] = side{buf: reuse(a.dir[i].buf)}
	}
	*a = ssh{s: a.s, h: a.h, dir: a.dir, kexAlgs: reuse(a.kexAlgs)}
	a.s.free.Keep(a)
}

func reuse(b []byte) []byte {
	if cap(b) > keepBuf {
		return nil
	}
	return b[:0]
}

// limit reports that a limit was reached, and notes it in the history.
func (a *ssh) limit(c analyzer.Conn, name string, n, most uint64) {
	b := strconv.AppendUint(a.addl[:0], n, 10)
	b = strconv.AppendUint(append(b, " > "...), most, 10)
	c.Weird(name, value.Borrow(b), Source)
	analyzer.ReachLimit(c)
}

// stop leaves the connection alone from now on.
func (a *ssh) stop(c analyzer.Conn) {
	a.done = true
	analyzer.Remove(c)
}
