package config

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
)

var update = flag.Bool("update", false, "rewrite the expected messages and docs/config.md")

// Each testdata/*.bad.toml is a mistake somebody will make; *.bad.txt holds the
// exact message.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse("cluster.toml", text)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("no mistake found: %v", err)
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(path, ".toml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("message\n%swant\n%s", got, want)
			}
		})
	}
}

func TestDocsAreGenerated(t *testing.T) {
	path := filepath.Join(testenv.Root(t), "docs", "config.md")
	want := Markdown()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/config.md is not what the settings say; run: go test ./control/config -update")
	}
}

func TestDefaultsAreRight(t *testing.T) {
	if p := Default().Problems(); len(p) > 0 {
		t.Error(p)
	}
	c, err := Parse("empty.toml", nil)
	if err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("an empty file: %+v, %v", c, err)
	}
}

func TestEverySettingHasAComment(t *testing.T) {
	c := Default()
	c.Interfaces, c.Zeek = []Interface{{}}, []Zeek{{}}
	each(c, func(section, doc string, v reflect.Value) {
		if doc == "" {
			t.Errorf("%s has no comment", section)
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if d := f.Tag.Get("doc"); !strings.HasSuffix(d, ".") || f.Tag.Get("toml") == "" || f.Tag.Get("json") != f.Tag.Get("toml") {
				t.Errorf("%s %s: tags %q", section, f.Name, f.Tag)
			}
		}
	})
}

// Whatever we print is read back as the same.
func TestRoundTrip(t *testing.T) {
	example, err := Parse("example.toml", []byte(Example))
	if err != nil {
		t.Fatal(err)
	}
	odd := example
	odd.Capture.Seed = "host \"x\" \\ \x01 and ü" // any text; a filter must compile
	odd.Capture.LocalNets = []string{"10.0.0.0/8", "2001:db8::/32"}
	odd.Interfaces = []Interface{{Name: "eth0", Pin: CPUs{0, 2, 3, 4, 9}}}
	for _, c := range []Config{Default(), example, odd} {
		for _, comments := range []bool{false, true} {
			text := c.TOML(comments)
			got, err := Parse("printed.toml", []byte(text))
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if a, b := asJSON(t, got), asJSON(t, c); a != b {
				t.Errorf("printed and read back\n%s\nwant\n%s", a, b)
			}
		}
	}
}

func asJSON(t *testing.T, c Config) string {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "null", "[]")
}

func TestPathsCountFromTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cluster.toml")
	if err := os.WriteFile(path, []byte("[logs]\ndir = \"out\"\narchive = \"/far/away\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Logs.Dir != filepath.Join(dir, "out") || c.Logs.Archive != "/far/away" || c.Cluster.Spool != filepath.Join(dir, "spool") || c.Bus.CA != "" {
		t.Errorf("%+v", c)
	}
	if _, err := Load(filepath.Join(dir, "none.toml")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.toml")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(Default().TOML(true)))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("fuzz.toml", text)
		if err != nil {
			return
		}
		if _, err := Parse("again.toml", []byte(c.TOML(false))); err != nil {
			t.Errorf("read, printed, and not read again: %v", err)
		}
	})
}

// A file cut anywhere gives a configuration or a mistake, never a panic.
func TestCutAnywhere(t *testing.T) {
	text := Default().TOML(false) + Example
	for i := range len(text) {
		_, _ = Parse("cut.toml", []byte(text[:i]))
	}
}

func TestNotAConfiguration(t *testing.T) {
	_, err := Parse("trace.pcap", make([]byte, maxFile+1))
	if err == nil || !strings.Contains(err.Error(), "is this the right file?") {
		t.Error(err)
	}
}
