// Package files writes files.log: one row for each file and connection it came
// over, when the file is over.
//
// It stands behind the table of files (traffic/files), whose Handler it is, and
// hands rows to the log stream. It decides which analyzers look at a file: those
// that the user wants for all, and those registered for its type. It owns one
// row that it fills again and again. It never looks at content.
//
// The rules are those of Zeek 9.0 (zeek-semantics.md section 5).
package files

import (
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schema returns the columns of files.log.
func Schema() *record.Schema {
	return record.New("Files::LOG", "files",
		record.Of("ts", value.KindTime),
		record.Of("fuid", value.KindString),
		record.Optional("uid", value.KindString),
		record.ConnID(),
		record.Optional("source", value.KindString),
		record.Optional("depth", value.KindCount),
		record.Optional("analyzers", value.KindSet, value.KindString),
		record.Optional("mime_type", value.KindString),
		record.Optional("filename", value.KindString),
		record.Optional("duration", value.KindInterval),
		record.Optional("local_orig", value.KindBool),
		record.Optional("is_orig", value.KindBool),
		record.Optional("seen_bytes", value.KindCount),
		record.Optional("total_bytes", value.KindCount),
		record.Optional("missing_bytes", value.KindCount),
		record.Optional("overflow_bytes", value.KindCount),
		record.Optional("timedout", value.KindBool),
		record.Optional("parent_fuid", value.KindString),
		record.Optional("md5", value.KindString),
		record.Optional("sha1", value.KindString),
		record.Optional("sha256", value.KindString),
		record.Optional("extracted", value.KindString),
		record.Optional("extracted_cutoff", value.KindBool),
		record.Optional("extracted_size", value.KindCount),
	)
}

// Columns, in the order of Schema.
const (
	colTS = iota
	colFUID
	colUID
	colOrigH
	colOrigP
	colRespH
	colRespP
	colSource
	colDepth
	colAnalyzers
	colMIME
	colFilename
	colDuration
	colLocalOrig
	colIsOrig
	colSeen
	colTotal
	colMissing
	colOverflow
	colTimedOut
	colParent
	colMD5
	colSHA1
	colSHA256
	colExtracted
	colCutoff
	colExtractedSize
	numColumns
)

// Driver makes an analyzer for some files.
type Driver struct {
	Name  string   // in the analyzers column: MD5, PE
	Types []string // for files of these types; none: for all
	// New returns an analyzer for a file, or nil if it does not want it.
	New func(f *files.File) files.Analyzer
}

// Log makes the rows of one worker and attaches analyzers. One goroutine.
type Log struct {
	write  func(row []value.Value)
	row    [numColumns]value.Value
	names  []value.Value
	text   []byte
	all    []*Driver
	byType map[string][]*Driver
	hide   map[string]bool
}

// Config is what a user may set.
type Config struct {
	// Hide are types whose rows are left out: certificates have a log of their own.
	Hide []string
}

// Default returns the settings of Zeek's default scripts.
func Default() Config {
	return Config{Hide: []string{
		"application/x-x509-user-cert", "application/x-x509-ca-cert", "application/pkix-cert",
	}}
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns.
func New(cfg Config, write func(row []value.Value), drivers ...Driver) *Log {
	l := &Log{write: write, byType: map[string][]*Driver{}, hide: map[string]bool{}}
	for _, t := range cfg.Hide {
		l.hide[t] = true
	}
	for i := range drivers {
		l.Use(drivers[i])
	}
	return l
}

// Use adds a driver. Call it before the first file.
func (l *Log) Use(d Driver) {
	if len(d.Types) == 0 {
		l.all = append(l.all, &d)
	}
	for _, t := range d.Types {
		l.byType[t] = append(l.byType[t], &d)
	}
}

// New implements files.Handler.
func (l *Log) New(f *files.File) { attach(f, l.all) }

// Sniffed implements files.Handler.
func (l *Log) Sniffed(f *files.File) {
	if f.MIME != "" && len(l.byType) > 0 {
		attach(f, l.byType[f.MIME])
	}
}

func attach(f *files.File, drivers []*Driver) {
	for _, d := range drivers {
		if a := d.New(f); a != nil {
			f.Attach(d.Name, a)
		}
	}
}

// Removed implements files.Handler: it writes the rows.
func (l *Log) Removed(f *files.File) {
	if l.hide[f.MIME] {
		return
	}
	row := l.row[:]
	clear(row)
	l.text = f.ID.AppendText(l.text[:0])
	row[colTS] = value.Time(float64(f.First))
	row[colFUID] = value.String(value.Borrow(l.text))
	row[colSource] = value.String(f.Source)
	row[colDepth] = value.Count(f.Depth)
	l.names = l.names[:0]
	f.Analyzers(func(name string) { l.names = append(l.names, value.String(name)) })
	row[colAnalyzers] = value.Set(l.names)
	if f.MIME != "" {
		row[colMIME] = value.String(f.MIME)
	}
	if f.HasName {
		row[colFilename] = value.String(f.Name)
	}
	row[colDuration] = value.Interval(float64(f.LastActive - f.First))
	if f.LocalKnown {
		row[colLocalOrig] = value.Bool(f.Local)
	}
	row[colSeen], row[colMissing], row[colOverflow] = value.Count(f.Seen), value.Count(f.Missing), value.Count(f.Overflow)
	if f.HasTotal {
		row[colTotal] = value.Count(f.Total)
	}
	row[colTimedOut] = value.Bool(f.TimedOut)
	if !f.Parent.IsZero() {
		n := len(l.text)
		l.text = f.Parent.AppendText(l.text)
		row[colFUID] = value.String(value.Borrow(l.text[:n]))
		row[colParent] = value.String(value.Borrow(l.text[n:]))
	}
	for i := range f.Results {
		result(row, &f.Results[i])
	}
	if len(f.Conns) == 0 {
		l.write(row)
		return
	}
	row[colIsOrig] = value.Bool(f.Orig)
	for i := range f.Conns {
		l.conn(row, &f.Conns[i])
	}
}

// result puts what an analyzer found into its column.
func result(row []value.Value, r *files.Result) {
	switch r.Name {
	case "md5":
		row[colMD5] = value.String(r.Text)
	case "sha1":
		row[colSHA1] = value.String(r.Text)
	case "sha256":
		row[colSHA256] = value.String(r.Text)
	case "extracted":
		row[colExtracted] = value.String(r.Text)
		row[colCutoff] = value.Bool(r.Flag)
		if r.Flag {
			row[colExtractedSize] = value.Count(r.Count)
		}
	}
}

// conn writes the row of one of a file's connections. A set's order is not the
// row's: writing may change it.
func (l *Log) conn(row []value.Value, c *files.ConnID) {
	row[colUID] = value.String(c.UID())
	row[colOrigH], row[colOrigP] = value.Addr16(c.Orig), value.Port(c.OrigP, c.Proto)
	row[colRespH], row[colRespP] = value.Addr16(c.Resp), value.Port(c.RespP, c.Proto)
	l.write(row)
}
