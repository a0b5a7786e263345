package pe

import (
	"os"
	"strings"
	"testing"

	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	"github.com/picket-nsm/picket/policy/builtin/files/filestest"
	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/files"
	format "github.com/picket-nsm/picket/traffic/format/pe"
	"github.com/picket-nsm/picket/zeek/value"
)

// rig gives files to a Log.
type rig struct {
	log  *Log
	conn *filestest.Conn
	rows []string
}

func newRig() *rig {
	r := &rig{}
	r.log = New(func(row []value.Value) { r.rows = append(r.rows, rowstest.Show(Schema(), row, "ts", "id")) })
	r.conn = filestest.New(fileslog.Driver{Name: Name, Types: []string{Type}, New: r.log.Analyzer})
	return r
}

func (r *rig) send(b []byte) []string {
	r.rows = nil
	r.conn.Give("HTTP", Type, b)
	return r.rows
}

// The headers of a program that does nothing, made by Go 1.26's linker for
// Windows: GOOS=windows go build, and head -c 1536.
func TestRealProgram(t *testing.T) {
	for arch, want := range map[string]string{
		"amd64": `machine="AMD64" compile_ts=0.0 os="Windows 7 or Server 2008 R2" subsystem="WINDOWS_CUI" is_exe=T is_64bit=T uses_aslr=T uses_dep=T `,
		"386":   `machine="I386" compile_ts=0.0 os="Windows 7 or Server 2008 R2" subsystem="WINDOWS_CUI" is_exe=T is_64bit=F uses_aslr=T uses_dep=T `,
	} {
		b, err := os.ReadFile("testdata/go-" + arch + ".head")
		if err != nil {
			t.Fatal(err)
		}
		rows := newRig().send(b)
		if len(rows) != 1 || !strings.HasPrefix(rows[0], want) || !strings.Contains(rows[0], ` section_names=[".text" ".rdata" ".data" `) {
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
		{format.Header{Machine: 475}, `machine="unknown-475" compile_ts=0.0 is_exe=F is_64bit=T uses_aslr=F uses_dep=F uses_code_integrity=F uses_seh=T`},
		{format.Header{Machine: 0x14c, Executable: true, Optional: &format.Optional{OSMajor: 77, OSMinor: 1, Subsystem: 5, Characteristics: format.ForceIntegrity | format.NoSEH, Sizes: [7]uint32{6: 1}}},
			`machine="I386" compile_ts=0.0 os="unknown-77.1" subsystem="unknown-5" is_exe=T is_64bit=T uses_aslr=F uses_dep=F uses_code_integrity=T uses_seh=F ` +
				`has_import_table=F has_export_table=F has_cert_table=F has_debug_data=T`},
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
