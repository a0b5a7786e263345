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
)

// Schema returns the columns of ocsp.log.
func Schema() *record.Schema {
	return record.New("OCSP::LOG", "ocsp",
		record.Of("ts", value.KindTime),
		record.Of("id", value.KindString),
		record.Of("hashAlgorithm", value.KindString),
		record.Of("issuerNameHash", value.KindString),
		record.Of("issuerKeyHash", value.KindString),
		record.Of("serialNumber", value.KindString),
		record.Of("certStatus", value.KindString),
		record.Optional("revoketime", value.KindTime),
		record.Optional("revokereason", value.KindString),
		record.Of("thisUpdate", value.KindTime),
		record.Optional("nextUpdate", value.KindTime),
	)
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
	whole *files.Gatherer
}

// New returns a Log that hands its rows to write, in the order of Schema; a row
// and its strings are valid until write returns. weird, if not nil, takes
// oddities.
func New(write func(row []value.Value), weird func(now packet.Time, name, addl string)) *Log {
	l := &Log{write: write, weird: weird}
	l.whole = files.NewGatherer(maxSize, l.response)
	return l
}

// Analyzer returns what reads a file as an OCSP response.
func (l *Log) Analyzer(f *files.File) files.Analyzer { return l.whole.Analyzer(f) }

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
