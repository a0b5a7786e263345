package e2e

import (
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
)

// traces lists the recorded captures, by their names below the folder.
func traces(t *testing.T) (root string, names []string) {
	t.Helper()
	root = testenv.Shared(t, "traces")
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "COPYING.zeek" {
			name, _ := filepath.Rel(root, p)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return root, names
}

// Flows that change their outer addresses on the way are cut where they change
// the worker, for the share is by outer addresses.
var changeTunnel = map[string]bool{"tunnels/6in6-tunnel-change.pcap": true, "tunnels/Teredo.pcap": true}

// The rows of recorded captures are the same for any number of workers, in one
// process and in several.
func TestSameRowsOfTraces(t *testing.T) {
	bin := binary(t)
	root, names := traces(t)
	if !Long() {
		t.Skipf("only with %s=1", Env)
	}
	for i, name := range names {
		if changeTunnel[name] {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(root, name)
			rows := func(workers int) map[string]*Rows {
				dir := t.TempDir()
				// Some are cut or no captures at all, which is no matter here.
				_ = exec.Command(bin, "read", "-C", "--seed", "e2e", "-o", dir, "-W", strconv.Itoa(workers), file).Run()
				out := map[string]*Rows{}
				for _, path := range []string{"conn", "dns", "weird", "ssl", "x509"} {
					out[path] = logRows(t, dir, path)
				}
				return out
			}
			want := rows(1)
			for _, w := range []int{2, 3, 4} {
				got := rows(w)
				sameLogs(t, fmt.Sprintf(" of read -W %d", w), want, func(path string) *Rows { return got[path] })
			}
			if i%12 != 0 {
				return
			}
			c := NewCluster(t, bin)
			c.Read(file, "-C", "--seed", "e2e", "-W", "3", "-P", "2")
			c.Wait()
			for _, path := range []string{"conn", "dns", "ssl"} {
				if d := Differ(want[path].Sorted(), c.rows(path).Sorted()); d != "" {
					t.Errorf("%s.log of up --read -W 3: %s", path, d)
				}
			}
			// Which worker's packet is the one that is reported is by chance here.
			if n := len(c.rows("weird").Lines); n != len(want["weird"].Lines) {
				t.Errorf("%d rows in weird.log of up --read -W 3, %d of read -W 1", n, len(want["weird"].Lines))
			}
		})
	}
}
