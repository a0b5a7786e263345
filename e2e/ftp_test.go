package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/trafficgen"
)

// FTP whose data connections are between other hosts than their control
// connections, and so belong to other workers, has the same rows with one worker
// and with four: in one process, where workers wait for each other, and between
// processes, which tell each other over the bus and so need the time that the
// network gives them (the capture is replayed by its timestamps).
func TestFTPAcrossWorkers(t *testing.T) {
	bin := binary(t)
	t.Parallel()
	const sessions, rate = 12, 200 // a session's packets are 25 ms apart
	frames := trafficgen.FTP(sessions, 5)
	length := time.Duration(len(frames)) * time.Second / rate
	file := filepath.Join(t.TempDir(), "ftp.pcap")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	next := func() (b []byte) {
		if len(frames) > 0 {
			b, frames = frames[0], frames[1:]
		}
		return b
	}
	if err := trafficgen.WriteFile(f, next, 1_700_000_000, rate); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	logs := []string{"ftp", "conn", "files"}
	want := map[string][]string{}
	for _, w := range []string{"1", "4"} {
		dir := t.TempDir()
		if out, err := exec.Command(bin, "read", "-C", "--seed", "e2e", "-W", w, "-o", dir, file).CombinedOutput(); err != nil {
			t.Fatalf("picket read -W %s: %v: %s", w, err, out)
		}
		for _, log := range logs {
			rows := logRows(t, dir, log).Sorted()
			if w == "1" {
				want[log] = rows
			} else if d := Differ(want[log], rows); d != "" {
				t.Errorf("%s.log of read -W %s: %s", log, w, d)
			}
		}
	}
	named := func(rows []string, word string) (n int) {
		for _, r := range rows {
			if slices.Contains(strings.Split(r, "\t"), word) {
				n++
			}
		}
		return n
	}
	if n := named(want["conn"], "ftp-data"); n != sessions*trafficgen.FTPFiles {
		t.Fatalf("%d data connections, want %d", n, sessions*trafficgen.FTPFiles)
	}
	// News may come later than what they tell of, as nobody holds packets for long:
	// on a machine that is busy otherwise a process may stand still that long. So
	// each further try gives them twice the time.
	const tries = 5
	for _, w := range []string{"1", "4"} {
		for try := 1; ; try++ {
			c := NewCluster(t, bin)
			c.Read(file, "-C", "--seed", "e2e", "-W", w, "--pace", (length << (try - 1)).String())
			if code := c.Wait(); code != 0 {
				t.Fatalf("up --read -W %s: exit code %d:\n%s", w, code, c.Output())
			}
			differ := ""
			for _, log := range logs {
				if d := Differ(want[log], c.rows(log).Sorted()); d != "" {
					differ += log + ".log: " + d + "\n"
				}
			}
			if differ == "" {
				break
			}
			t.Logf("up --read -W %s, try %d: %s", w, try, differ)
			if try == tries || w == "1" {
				t.Errorf("up --read -W %s never gave the same rows", w)
				break
			}
		}
	}
}
