//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/trafficgen"
)

// Floods that want to fill the memory: the process stays below the limit it was
// given, the books settle, and what was shed has a name.
func TestFloods(t *testing.T) {
	const limit = 128 << 20
	bin := binary(t)
	// What must go; of the others each connection keeps little, whatever is sent.
	shed := map[string]string{
		"half-open": "connections", "fragments": "fragments", "many headers": "connections",
	}
	packets := Rounds(400_000, 1_600_000)
	for _, name := range slices.Sorted(maps.Keys(trafficgen.Floods)) {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			cmd := exec.Command(bin, "read", "-W", "1", "-o", t.TempDir(), "--memory", "128MiB", "--report", "json", "-")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := trafficgen.WriteFile(in, trafficgen.Floods[name](packets), 1700000000, 100_000); err != nil {
				t.Error(err)
			}
			in.Close()
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, errs.String())
			}
			rss := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
			var report ledger.Report
			if err := json.Unmarshal(out.Bytes(), &report); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			t.Logf("%d packets, %d MiB, shed %v, dropped %v", packets, rss>>20, report.Shed, report.RecordTotal.Dropped)
			if !report.Settled {
				t.Errorf("books: %s", out.String())
			}
			if want, ok := shed[name]; ok && report.Shed[want] == 0 {
				t.Errorf("shed %v, want %s", report.Shed, want)
			}
			if rss > limit {
				t.Errorf("%d MiB of memory, want at most %d", rss>>20, limit>>20)
			}
		})
	}
}
