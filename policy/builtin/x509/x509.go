// Package x509 writes x509.log: one row a day (or as set) for each certificate, told apart by
// whether it was the host's own or one behind it, and the client's or the server's.
//
// It stands behind the table of files (traffic/files) as one of the analyzers of
// certificates, whatever protocol carried them, and hands rows to the log stream.
// It owns the parsed certificates of late, so that a busy server's is read once,
// and the memory of what was logged. It never verifies anything.
//
// The rules are those of Zeek 9.0 (zeek-semantics.md section 5). In a cluster the
// memory has one owner, who is asked before a row is written.
package x509

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/picket-nsm/picket/traffic/files"
	format "github.com/picket-nsm/picket/traffic/format/x509"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name in files.log.
const Name = "X509"

// typeHost is the type of a certificate that stands first in a chain.
const typeHost = "application/x-x509-user-cert"

// Types are the types of files that are certificates.
func Types() []string {
	return []string{typeHost, "application/x-x509-ca-cert", "application/pkix-cert"}
}

const (
	// maxKnown is how many are remembered; with more the oldest is forgotten early
	// and counted. The owner of the memory is asked again then.
	maxKnown = 1 << 17
	// maxSize is the largest certificate that is read.
	maxSize = 512 << 10
	// maxCache is how many bytes of certificates are kept parsed.
	maxCache = 4 << 20
)

// Config is what a user may set.
type Config struct {
	// HostsOnly leaves out the certificates that are not the first of their chain
	// (Zeek's policy script log-hostcerts-only).
	HostsOnly bool
	// Again is how many seconds a certificate is not logged again
	// (X509::relog_known_certificates_after); 0: it is logged each time.
	Again float64
}

// Default returns the settings of Zeek's default scripts.
func Default() Config { return Config{Again: 86400} }

// Schema returns the columns of x509.log.
func Schema() *record.Schema {
	return record.New("X509::LOG", "x509",
		record.Of("ts", value.KindTime),
		record.Of("fingerprint", value.KindString),
		record.Of("certificate.version", value.KindCount),
		record.Of("certificate.serial", value.KindString),
		record.Of("certificate.subject", value.KindString),
		record.Of("certificate.issuer", value.KindString),
		record.Of("certificate.not_valid_before", value.KindTime),
		record.Of("certificate.not_valid_after", value.KindTime),
		record.Of("certificate.key_alg", value.KindString),
		record.Of("certificate.sig_alg", value.KindString),
		record.Optional("certificate.key_type", value.KindString),
		record.Optional("certificate.key_length", value.KindCount),
		record.Optional("certificate.exponent", value.KindString),
		record.Optional("certificate.curve", value.KindString),
		record.Optional("san.dns", value.KindVector, value.KindString),
		record.Optional("san.uri", value.KindVector, value.KindString),
		record.Optional("san.email", value.KindVector, value.KindString),
		record.Optional("san.ip", value.KindVector, value.KindAddr),
		record.Of("basic_constraints.ca", value.KindBool),
		record.Optional("basic_constraints.path_len", value.KindCount),
		record.Optional("host_cert", value.KindBool),
		record.Optional("client_cert", value.KindBool),
	)
}

// Once answers who may log what the cluster logs once. The answer comes on the
// same goroutine, from within Ask or later.
type Once interface {
	Ask(key string, ttl float64, now packet.Time, answer func(granted bool))
}

// Deps is what the program passes.
type Deps struct {
	// Write takes a row in the order of Schema, valid until it returns.
	Write func(row []value.Value)
	// Weird takes an oddity of a file.
	Weird func(now packet.Time, name, addl string)
	// Once is asked before a row is written; nil: this worker remembers by itself.
	Once Once
}

// Receiver is told of a certificate by its file's Watcher being one. c is shared:
// it may be kept, and must not be changed.
type Receiver interface {
	FileCertificate(c *format.Certificate, fingerprint string)
}

// Stats counts.
type Stats struct {
	Certificates uint64 // seen
	Parsed       uint64 // of them, not found among those of late
	Bad          uint64 // could not be read
	Rows         uint64
	Forgotten    uint64 // given up early because there were too many
}

// Log makes the rows of one worker. One goroutine.
type Log struct {
	cfg   Config
	deps  Deps
	cache cache
	known known
	row   [numColumns]value.Value
	lists [4][]value.Value
	text  []byte
	whole *files.Gatherer
	stats Stats
}

// New returns a Log.
func New(cfg Config, deps Deps) *Log {
	l := &Log{cfg: cfg, deps: deps, cache: newCache(), known: newKnown(cfg.Again)}
	l.whole = files.NewGatherer(maxSize, l.certificate)
	return l
}

// Stats returns the counters.
func (l *Log) Stats() Stats {
	s := l.stats
	s.Forgotten = l.known.shed
	return s
}

// Analyzer returns what reads a file as a certificate.
func (l *Log) Analyzer(f *files.File) files.Analyzer { return l.whole.Analyzer(f) }

// certificate reads a certificate and logs it.
func (l *Log) certificate(f *files.File, der []byte) {
	l.stats.Certificates++
	sum := sha256.Sum256(der)
	e := l.cache.get(sum)
	if e == nil {
		c, ok := format.Parse(der)
		if !ok {
			l.stats.Bad++
			l.weird(f, "x509_cert_parse_error", "")
			return
		}
		l.stats.Parsed++
		fp := sum
		if c.Size < len(der) {
			fp = sha256.Sum256(der[:c.Size])
		}
		e = &entry{cert: c, key: fp, fingerprint: hex.EncodeToString(fp[:]), size: len(der)}
		for _, w := range c.Weirds {
			l.weird(f, w.Name, w.Addl)
		}
		l.cache.put(sum, e)
	}
	if r, ok := f.Watcher.(Receiver); ok {
		r.FileCertificate(e.cert, e.fingerprint)
	}
	l.log(e, f.First, f.Now(), f.MIME == typeHost, f.Orig)
}

// weird reports an oddity of a file, which is named by its id.
func (l *Log) weird(f *files.File, name, addl string) {
	if l.deps.Weird == nil {
		return
	}
	l.text = f.ID.AppendText(l.text[:0])
	if addl != "" {
		l.text = append(append(l.text, ": "...), addl...)
	}
	l.deps.Weird(f.Now(), name, value.Borrow(l.text))
}

// log writes a certificate's row if nobody has of late.
func (l *Log) log(e *entry, ts, now packet.Time, host, client bool) {
	if l.cfg.HostsOnly && !host {
		return
	}
	k := knownKey{fingerprint: e.key}
	if host {
		k.kind |= 1
	}
	if client {
		k.kind |= 2
	}
	if l.cfg.Again > 0 && !l.known.add(k, now) {
		return
	}
	if l.deps.Once == nil || l.cfg.Again <= 0 {
		l.write(e, ts, host, client)
		return
	}
	key := [...]string{"x509/", "x509/host/", "x509/client/", "x509/host/client/"}[k.kind] + e.fingerprint
	l.deps.Once.Ask(key, l.cfg.Again, now, func(granted bool) {
		if granted {
			l.write(e, ts, host, client)
		}
	})
}
