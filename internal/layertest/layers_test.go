// Package layertest proves that imports point one way, as docs/architecture.md
// draws them.
package layertest

import (
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
)

const module = "github.com/picket-nsm/picket/"

// A rule says what packages below a folder may import from this module.
// The first rule whose folder matches decides; order them from the narrowest.
type rule struct {
	folder string
	may    []string // folders; "" forbids all but zeek and internal
	why    string
}

var rules = []rule{
	{"zeek/value", nil, "the values stand at the bottom"},
	{"zeek/", []string{"zeek/"}, "words are data and pure functions; other Go programs import them alone"},
	{"internal/testenv", nil, "tests of every wing use it"},
	{"internal/", []string{"zeek/", "internal/", "traffic/"}, "private helpers stand below the wings"},
	{"traffic/packet", []string{"zeek/"}, "packets know nothing of where they come from"},
	{"traffic/", []string{"zeek/", "traffic/", "internal/"}, "traffic, logs and bus do not know each other"},
	{"logs/", []string{"zeek/", "logs/", "internal/"}, "traffic, logs and bus do not know each other"},
	{"bus/", []string{"zeek/", "bus/", "internal/"}, "traffic, logs and bus do not know each other"},
	{"policy/", []string{"zeek/", "traffic/", "logs/", "bus/", "policy/", "internal/"}, "policy stands below node"},
	{"standard", []string{"zeek/", "traffic/", "logs/", "bus/", "policy/", "host/", "standard", "internal/"}, "the lists name drivers, nothing above them"},
	{"node", []string{"zeek/", "traffic/", "logs/", "bus/", "policy/", "node", "internal/"}, "a node knows nothing of the host that runs it"},
	{"host/", []string{"zeek/", "traffic/capture/", "logs/", "bus/", "node", "host/", "internal/"}, "the host starts nodes; it analyses nothing"},
	{"control/", []string{"zeek/", "traffic/capture/", "node", "host/", "control/", "internal/"}, "control stands on host"},
	{"api/wsclient", []string{"zeek/"}, "other programs import the client alone"},
	{"api/", []string{"zeek/", "bus/", "host/", "api/", "internal/"}, "doors declare the interfaces they need"},
	{"cmd/", nil, "cmd wires everything"},
	{"e2e/busnode", []string{"zeek/", "bus/", "logs/", "host/bridge", "internal/"}, "a node that only publishes and takes events, or the bridge, to measure with"},
	{"e2e", []string{"zeek/", "node", "host/", "standard", "internal/"}, "end-to-end tests drive the real binary"},
}

// drivers must not import their siblings.
var drivers = []string{
	"traffic/capture/", "traffic/analyzer/", "bus/codec/", "bus/backend/", "logs/sink/", "host/engine/", "policy/builtin/",
}

// kits are not drivers: any driver's test imports its contract's kit. Nor are
// tables that several drivers share.
var kits = []string{"traffic/capture/capturetest", "traffic/analyzer/analyzertest", "bus/codec/codectest",
	"bus/backend/backendtest", "logs/sink/sinktest", "host/engine/enginetest", "traffic/capture/filter", "traffic/analyzer/signatures"}

type pkg struct {
	ImportPath string
	Imports    []string
	Doc        string
	Name       string
	GoFiles    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Doc,Name,GoFiles", "./...")
	cmd.Dir = testenv.Root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		r := ruleFor(path)
		if r == nil {
			t.Errorf("%s: no rule for this folder; add one to layers_test.go and docs/architecture.md", path)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, module) {
				continue
			}
			imp = strings.TrimPrefix(imp, module)
			if r.folder != "cmd/" && !allowed(r.may, imp) {
				t.Errorf("%s imports %s: %s", path, imp, r.why)
			}
			if imp == "standard" && r.folder != "cmd/" && r.folder != "e2e" {
				t.Errorf("%s imports standard: only cmd does and hands the lists down", path)
			}
			if d := driverOf(path); d != "" && d == driverFolder(imp) && root(d, path) != root(d, imp) && !isKit(path) && !isKit(imp) {
				t.Errorf("%s imports %s: a driver never imports another driver", path, imp)
			}
		}
	}
}

func TestPackagesHaveComments(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s: no package comment (what it is, where it stands in the flow, what it owns, what it never does)", p.ImportPath)
		}
	}
}

func ruleFor(path string) *rule {
	for i := range rules {
		if strings.HasPrefix(path+"/", rules[i].folder) || path == rules[i].folder {
			return &rules[i]
		}
	}
	return nil
}

func allowed(may []string, imp string) bool {
	for _, m := range may {
		if strings.HasPrefix(imp+"/", m) || imp == m {
			return true
		}
	}
	return false
}

func driverOf(path string) string {
	d := driverFolder(path)
	if d == "" || isKit(path) {
		return ""
	}
	return d
}

func driverFolder(path string) string {
	for _, d := range drivers {
		if strings.HasPrefix(path, d) {
			return d
		}
	}
	return ""
}

// root is the driver's own folder, so that a driver may have folders below it.
func root(d, path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, d), "/")
	return name
}

func isKit(path string) bool {
	for _, k := range kits {
		if strings.HasPrefix(path, k) {
			return true
		}
	}
	return false
}
