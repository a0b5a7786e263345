// Package pe writes pe.log: one row for each Portable Executable file whose
// header came.
//
// It stands behind the table of files (traffic/files) as the analyzer of Windows
// programs, whatever protocol carried them, and hands rows to the log stream. It
// owns one row and a reader for each such file under way. It judges nothing.
//
// The rules are those of Zeek 9.0 (base/files/pe).
package pe

import (
	"strconv"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/files"
	format "github.com/picket-nsm/picket/traffic/format/pe"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name in files.log.
const Name = "PE"

// Type is the type of files that are Windows programs.
const Type = "application/x-dosexec"

// maxFree is how many finished analyzers are kept for reuse.
const maxFree = 16

// Schema returns the columns of pe.log.
func Schema() *record.Schema {
	return record.New("PE::LOG", "pe",
		record.Of("ts", value.KindTime),
		record.Of("id", value.KindString),
		record.Optional("machine", value.KindString),
		record.Optional("compile_ts", value.KindTime),
		record.Optional("os", value.KindString),
		record.Optional("subsystem", value.KindString),
		record.Optional("is_exe", value.KindBool),
		record.Optional("is_64bit", value.KindBool),
		record.Optional("uses_aslr", value.KindBool),
		record.Optional("uses_dep", value.KindBool),
		record.Optional("uses_code_integrity", value.KindBool),
		record.Optional("uses_seh", value.KindBool),
		record.Optional("has_import_table", value.KindBool),
		record.Optional("has_export_table", value.KindBool),
		record.Optional("has_cert_table", value.KindBool),
		record.Optional("has_debug_data", value.KindBool),
		record.Optional("section_names", value.KindVector, value.KindString),
	)
}

// Columns, in the order of Schema.
const (
	colTS = iota
	colID
	colMachine
	colCompiled
	colOS
	colSubsystem
	colExe
	col64
	colASLR
	colDEP
	colIntegrity
	colSEH
	colImports
	colExports
	colCerts
	colDebug
	colSections
	numColumns
)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	write func(row []value.Value)
	row   [numColumns]value.Value
	list  []value.Value
	id    []byte
	free  freelist.List[*reader]
}

// New returns a Log that hands its rows to write, in the order of Schema; a row
// and its strings are valid until write returns.
func New(write func(row []value.Value)) *Log {
	return &Log{write: write, free: freelist.New[*reader](maxFree)}
}

// Analyzer returns what reads a file's headers.
func (l *Log) Analyzer(*files.File) files.Analyzer {
	if r := l.free.Take(); r != nil {
		return r
	}
	return &reader{log: l}
}

// reader is the analyzer of one file. It implements files.Analyzer.
type reader struct {
	log *Log
	r   format.Reader
}

// Data implements files.Analyzer.
func (r *reader) Data(_ *files.File, data []byte) bool { return r.r.Data(data) }

// Gap implements files.Analyzer: what is behind it stands at another place.
func (r *reader) Gap(*files.File, uint64) bool { return false }

// End implements files.Analyzer.
func (r *reader) End(f *files.File) {
	l := r.log
	if r.r.Found {
		l.header(f, &r.r.Header)
	}
	r.r.Reset()
	l.free.Keep(r)
}

// header writes a row.
func (l *Log) header(f *files.File, h *format.Header) {
	l.id = f.ID.AppendText(l.id[:0])
	row := l.row[:]
	clear(row)
	row[colTS], row[colID] = value.Time(float64(f.First)), value.String(value.Borrow(l.id))
	row[colMachine] = value.String(name(machines, h.Machine))
	row[colCompiled] = value.Time(float64(h.Time))
	row[colExe] = value.Bool(h.Executable)
	row[col64] = value.Bool(h.Characteristics&format.Machine32Bit == 0)
	var image uint16
	if o := h.Optional; o != nil {
		image = o.Characteristics
		row[colOS] = value.String(system(o.OSMajor, o.OSMinor))
		row[colSubsystem] = value.String(name(subsystems, o.Subsystem))
		for _, d := range [...]struct{ col, table int }{
			{colImports, format.ImportTable}, {colExports, format.ExportTable}, {colCerts, format.CertTable}, {colDebug, format.DebugData},
		} {
			row[d.col] = value.Bool(o.Sizes[d.table] > 0)
		}
	}
	row[colASLR] = value.Bool(image&format.DynamicBase != 0)
	row[colDEP] = value.Bool(image&format.NXCompatible != 0)
	row[colIntegrity] = value.Bool(image&format.ForceIntegrity != 0)
	row[colSEH] = value.Bool(image&format.NoSEH == 0)
	if h.Executable && len(h.Sections) > 0 {
		l.list = l.list[:0]
		for _, s := range h.Sections {
			l.list = append(l.list, value.String(s))
		}
		row[colSections] = value.Vector(l.list)
	}
	l.write(row)
}

// name returns what a number is called.
func name(names map[uint16]string, n uint16) string {
	if s, ok := names[n]; ok {
		return s
	}
	return "unknown-" + strconv.Itoa(int(n))
}

// system returns the name of a version of Windows.
func system(major, minor uint16) string {
	if s, ok := systems[[2]uint16{major, minor}]; ok {
		return s
	}
	return "unknown-" + strconv.Itoa(int(major)) + "." + strconv.Itoa(int(minor))
}
