package pe

import (
	"fmt"
	"os"
	"strings"
	"testing"

	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	format "github.com/picket-nsm/picket/traffic/format/pe"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// rig gives files to a Log.
type rig struct {
	log   *Log
	table *files.Table
	rows  []string
	n     int
}

func newRig() *rig {
	r := &rig{}
	fl := fileslog.New(fileslog.Default(), func([]value.Value) {})
	s := Schema()
	r.log = New(func(row []value.Value) {
		var b strings.Builder
		for i, v := range row {
			if i == colTS || i == colID || !v.IsSet() {
				continue
			}
			fmt.Fprintf(&b, "%s=", s.Fields[i].Name)
			switch v.Kind() {
			case value.KindTime:
				fmt.Fprintf(&b, "%.0f ", v.Float())
			case value.KindBool:
				fmt.Fprintf(&b, "%t ", v.Bool())
			case value.KindVector:
				for _, e := range v.Elems() {
					fmt.Fprintf(&b, "%s,", e.Str())
				}
			default:
				fmt.Fprintf(&b, "%s ", v.Str())
			}
		}
		r.rows = append(r.rows, strings.TrimSpace(b.String()))
	})
	fl.Use(fileslog.Driver{Name: Name, Types: []string{Type}, New: r.log.Analyzer})
	r.table = files.New(files.Default(), fl)
	return r
}

func (r *rig) send(b []byte) []string {
	r.rows = nil
	r.n++
	r.table.Whole(r, &files.Side{Source: "HTTP", Owner: r}, Type, b)
	return r.rows
}

func (r *rig) FileHandle(_ analyzer.Conn, _ bool, dst []byte) []byte { return fmt.Append(dst, r.n) }
func (r *rig) FileOver(analyzer.Conn, *files.File)                   {}
func (r *rig) ID() analyzer.ID                                       { return analyzer.ID{UID: "C1", Proto: value.ProtoTCP} }
func (r *rig) Now() packet.Time                                      { return 1e9 }
func (r *rig) Weird(string, string, string)                          {}
func (r *rig) Confirm(string)                                        {}
func (r *rig) Violation(string, string, []byte)                      {}

// The headers of a program that does nothing, made by Go 1.26's linker for
// Windows: GOOS=windows go build, and head -c 1536.
func TestRealProgram(t *testing.T) {
	for arch, want := range map[string]string{
		"amd64": "machine=AMD64 compile_ts=0 os=Windows 7 or Server 2008 R2 subsystem=WINDOWS_CUI is_exe=true is_64bit=true uses_aslr=true uses_dep=true ",
		"386":   "machine=I386 compile_ts=0 os=Windows 7 or Server 2008 R2 subsystem=WINDOWS_CUI is_exe=true is_64bit=false uses_aslr=true uses_dep=true ",
	} {
		b, err := os.ReadFile("testdata/go-" + arch + ".head")
		if err != nil {
			t.Fatal(err)
		}
		rows := newRig().send(b)
		if len(rows) != 1 || !strings.HasPrefix(rows[0], want) || !strings.Contains(rows[0], " section_names=.text,.rdata,.data,") {
			t.Errorf("%s: %q", arch, rows)
		}
	}
}

// What is not asked of Go's linker: names that are not known, objects, files
// whose headers do not come.
func TestRows(t *testing.T) {
	for _, c := range []struct {
		h    format.Header
		want string
	}{
		{format.Header{Machine: 475}, "machine=unknown-475 compile_ts=0 is_exe=false is_64bit=true uses_aslr=false uses_dep=false uses_code_integrity=false uses_seh=true"},
		{format.Header{Machine: 0x14c, Executable: true, Optional: &format.Optional{OSMajor: 77, OSMinor: 1, Subsystem: 5, Characteristics: format.ForceIntegrity | format.NoSEH, Sizes: [7]uint32{6: 1}}},
			"machine=I386 compile_ts=0 os=unknown-77.1 subsystem=unknown-5 is_exe=true is_64bit=true uses_aslr=false uses_dep=false uses_code_integrity=true uses_seh=false " +
				"has_import_table=false has_export_table=false has_cert_table=false has_debug_data=true"},
	} {
		r := newRig()
		r.log.header(&files.File{}, &c.h)
		if len(r.rows) != 1 || r.rows[0] != c.want {
			t.Errorf("got  %q\nwant %q", r.rows, c.want)
		}
	}
	if rows := newRig().send([]byte("MZ, but no program at all, however long it may be and become, on and on")); len(rows) != 0 {
		t.Errorf("%q", rows)
	}
}

func TestNoAllocations(t *testing.T) {
	l := New(func([]value.Value) {})
	f := &files.File{}
	h := &format.Header{Machine: 0x8664, Executable: true, Optional: &format.Optional{OSMajor: 6, OSMinor: 1, Subsystem: 3}, Sections: []string{".text"}}
	if n := testing.AllocsPerRun(100, func() { l.header(f, h) }); n > 0 {
		t.Errorf("%v allocations for a row", n)
	}
}
