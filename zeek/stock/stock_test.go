package stock

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

func zeek(t *testing.T, version string, local bool) *Zeek {
	t.Helper()
	z, err := New(version, local)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestTable: every line of the table is whole, and no log is there twice.
func TestTable(t *testing.T) {
	types := []string{"addr", "bool", "count", "double", "enum", "int", "interval", "port", "string", "time", "set[enum]", "set[string]", "vector[addr]", "vector[count]", "vector[interval]", "vector[string]"}
	seen := map[string]bool{}
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		if words[0] == "#" {
			continue
		}
		if seen[words[0]] || seen[words[1]] || !strings.Contains(words[1], "::") {
			t.Errorf("%s %s", words[0], words[1])
		}
		seen[words[0]], seen[words[1]] = true, true
		columns, _ := zeek(t, "9.0", true).columns(words[2:], true)
		names := map[string]bool{}
		for _, c := range columns {
			if c.Name == "" || names[c.Name] || !slices.Contains(types, c.Type) {
				t.Errorf("%s: %+v", words[0], c)
			}
			names[c.Name] = true
		}
	}
}

// TestAgainstZeek: the columns are those of the logs that real Zeek 9.0 wrote.
func TestAgainstZeek(t *testing.T) {
	for _, c := range []struct {
		local bool
		glob  string
	}{{false, testenv.Shared(t, "golden", "zeek-logs") + "/*/*.log"}, {true, testenv.Shared(t, "golden", "log-batches") + "/*/tsv/*.log"}} {
		files, err := filepath.Glob(c.glob)
		if err != nil || len(files) < 20 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		z := zeek(t, "9.0", c.local)
		known := map[string][]Column{}
		for line := range strings.Lines(table) {
			words := strings.Fields(line)
			known[words[0]], _ = z.Columns(words[1])
		}
		for _, file := range files {
			path, columns := header(t, file)
			if !slices.Equal(columns, known[path]) {
				t.Errorf("%s: %v\nwant %v", file, known[path], columns)
			}
		}
	}
}

func header(t *testing.T, file string) (path string, columns []Column) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names, types []string
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() && strings.HasPrefix(in.Text(), "#") {
		key, rest, _ := strings.Cut(in.Text(), "\t")
		switch key {
		case "#path":
			path = rest
		case "#fields":
			names = strings.Split(rest, "\t")
		case "#types":
			types = strings.Split(rest, "\t")
		}
	}
	for i := range names {
		columns = append(columns, Column{names[i], types[i]})
	}
	return path, columns
}

func TestFit(t *testing.T) {
	ts, level := record.Of("ts", value.KindTime), record.Of("level", value.KindEnum)
	message, location := record.Of("message", value.KindString), record.Of("location", value.KindString)
	reporter := slices.Concat(ts, level, message, location)
	ntp := record.New("NTP::CONTROL_LOG", "ntp_control")
	for _, c := range []struct {
		version string
		local   bool
		schema  *record.Schema
		want    string
	}{
		{"9.0", false, record.New("Reporter::LOG", "reporter", reporter), ""},
		{"8.1", true, record.New("Reporter::LOG", "reporter_split", reporter), ""},
		{"9.0", false, record.New("Reporter::LOG", "reporter", reporter, record.Of("node", value.KindString), record.Of("x", value.KindString)),
			"reporter.log: Zeek 9.0 does not have the columns node, x, and throws rows away that do"},
		{"9.0", true, record.New("Reporter::LOG", "reporter", ts, level, message), "reporter.log: Zeek 9.0 with local.zeek has the columns location besides, and throws rows away without them"},
		{"9.0", false, record.New("Reporter::LOG", "reporter", ts, message, level, location), "reporter.log: Zeek 9.0 has level of type enum as column 2, and throws other rows away"},
		{"9.0", false, record.New("Reporter::LOG", "reporter", ts, record.Of("level", value.KindString), message, location), "reporter.log: Zeek 9.0 has level of type enum as column 2, and throws other rows away"},
		{"9.0", false, record.New("Ours::LOG", "ours", reporter), "ours.log: Zeek 9.0 has no Ours::LOG, and throws such rows away"},
		{"8.2", false, ntp, "ntp_control.log: Zeek 8.2 has no NTP::CONTROL_LOG, and throws such rows away"},
		{"9.0", false, record.New("Stats::LOG", "stats"), "stats.log: Zeek 9.0 has no Stats::LOG, and throws such rows away"},
	} {
		err := zeek(t, c.version, c.local).Fit(c.schema)
		var m *Misfit
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &m) || err.Error() != c.want) {
			t.Errorf("%s: %v\nwant %s", c.version, err, c.want)
		}
	}
	if _, err := New("7.0", false); err == nil || !strings.Contains(err.Error(), "known are 8.1, 8.2, 9.0") {
		t.Error(err)
	}
}
