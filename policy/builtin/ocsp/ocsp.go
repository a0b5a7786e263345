// Package ocsp writes ocsp.log: one row for each certificate whose state an OCSP
// response tells.
//
// It stands behind the table of files (traffic/files) as the analyzer of OCSP
// responses, whether they came over HTTP or were stapled to a TLS handshake, and
// hands rows to the log stream. It owns one row and buffers of responses that are
// under way. It never verifies anything.
//
// The rules are those of Zeek 9.0 (zeek-semantics.md section 5).
package ocsp

import (
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/x509"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name in files.log.
const Name = "OCSP_REPLY"

// Type is the type of files that are OCSP responses.
const Type = "application/ocsp-response"

const (
	// maxSize is the largest response that is read.
	maxSize = 512 << 10
	// maxSingles is how many certificates of one response are logged.
	maxSingles = 1000
	// maxFree is how many finished analyzers are kept for reuse, keepBuf the largest
	// buffer with them.
	maxFree = 16
	keepBuf = 8 << 10
)

// Schema returns the columns of ocsp.log.
func Schema() *record.Schema {
	f := func(name string, k value.Kind) record.Field { return record.Field{Name: name, Kind: k} }
	o := func(name string, k value.Kind) record.Field { return record.Field{Name: name, Kind: k, Optional: true} }
	return record.New("OCSP::LOG", "ocsp",
		f("ts", value.KindTime), f("id", value.KindString), f("hashAlgorithm", value.KindString),
		f("issuerNameHash", value.KindString), f("issuerKeyHash", value.KindString), f("serialNumber", value.KindString),
		f("certStatus", value.KindString), o("revoketime", value.KindTime), o("revokereason", value.KindString),
		f("thisUpdate", value.KindTime), o("nextUpdate", value.KindTime))
}

// Columns, in the order of Schema.
const (
	colTS = iota
	colID
	colHashAlg
	colNameHash
	colKeyHash
	colSerial
	colStatus
	colRevoked
	colReason
	colThisUpdate
	colNextUpdate
	numColumns
)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	write func(row []value.Value)
	weird func(now packet.Time, name, addl string)
	row   [numColumns]value.Value
	text  []byte
	free  []*reader
}

// New returns a Log that hands its rows to write, in the order of Schema; a row
// and its strings are valid until write returns. weird, if not nil, takes
// oddities.
func New(write func(row []value.Value), weird func(now packet.Time, name, addl string)) *Log {
	return &Log{write: write, weird: weird}
}

// Analyzer returns what reads a file as an OCSP response.
func (l *Log) Analyzer(*files.File) files.Analyzer {
	if n := len(l.free); n > 0 {
		r := l.free[n-1]
		l.free = l.free[:n-1]
		return r
	}
	return &reader{log: l}
}

// reader gathers a response. It implements files.Analyzer.
type reader struct {
	log  *Log
	buf  []byte
	over bool // it has a gap or is too large
}

// Data implements files.Analyzer.
func (r *reader) Data(_ *files.File, data []byte) bool {
	if len(r.buf)+len(data) > maxSize {
		r.over = true
		return false
	}
	r.buf = append(r.buf, data...)
	return true
}

// Gap implements files.Analyzer.
func (r *reader) Gap(*files.File, uint64) bool {
	r.over = true
	return false
}

// End implements files.Analyzer.
func (r *reader) End(f *files.File) {
	l := r.log
	if !r.over {
		l.response(f, r.buf)
	}
	r.over = false
	if r.buf = r.buf[:0]; cap(r.buf) > keepBuf {
		r.buf = nil
	}
	if len(l.free) < maxFree {
		l.free = append(l.free, r)
	}
}

// response reads a response and writes its rows.
func (l *Log) response(f *files.File, b []byte) {
	l.text = f.ID.AppendText(l.text[:0])
	id := value.Borrow(l.text)
	odd := func(name string) {
		if l.weird != nil {
			l.weird(f.Now(), name, id)
		}
	}
	o, ok := x509.ParseOCSP(b, odd)
	if !ok {
		odd("openssl_ocsp_response_parse_error")
		return
	}
	for i := range o.Singles[:min(len(o.Singles), maxSingles)] {
		s, row := &o.Singles[i], l.row[:]
		clear(row)
		row[colTS], row[colID] = value.Time(float64(f.First)), value.String(id)
		row[colHashAlg] = value.String(s.HashAlg)
		row[colNameHash], row[colKeyHash] = value.String(s.NameHash), value.String(s.KeyHash)
		row[colSerial], row[colStatus] = value.String(s.Serial), value.String(s.Status)
		if s.Revoked != 0 {
			row[colRevoked] = value.Time(s.Revoked)
		}
		if s.Reason != "" {
			row[colReason] = value.String(s.Reason)
		}
		row[colThisUpdate] = value.Time(s.ThisUpdate)
		if s.NextUpdate != 0 {
			row[colNextUpdate] = value.Time(s.NextUpdate)
		}
		l.write(row)
	}
}
