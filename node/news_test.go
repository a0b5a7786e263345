package node_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/trafficgen"
)

// ftpCapture writes sessions of FTP whose data connections are between other
// hosts than their control connections.
func ftpCapture(t *testing.T, sessions, rate int) string {
	t.Helper()
	frames := trafficgen.FTP(sessions, 5)
	file := filepath.Join(t.TempDir(), "ftp.pcap")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	next := func() (b []byte) {
		if len(frames) > 0 {
			b, frames = frames[0], frames[1:]
		}
		return b
	}
	if err := trafficgen.WriteFile(f, next, 1_700_000_000, rate); err != nil {
		t.Fatal(err)
	}
	return file
}

// A data connection that another worker gets is known there, and its file where
// the control connection is: rows do not depend on the number of workers.
func TestDataConnectionsElsewhere(t *testing.T) {
	const sessions = 60
	file := ftpCapture(t, sessions, 1000)
	one, _ := read(t, 1, "tsv", file)
	count := func(rows []string, what ...string) (n int) {
		for _, r := range rows {
			if !slices.ContainsFunc(what, func(w string) bool { return !strings.Contains(r, w) }) {
				n++
			}
		}
		return n
	}
	if n := count(one["conn"], "\tftp-data\t"); n != sessions*trafficgen.FTPFiles {
		t.Fatalf("%d data connections, want %d", n, sessions*trafficgen.FTPFiles)
	}
	for _, command := range []string{"\tRETR\t", "\tSTOR\t"} {
		if n := count(one["ftp"], command, "\ttext/plain\t", "\tF"); n != sessions {
			t.Fatalf("%d rows of %q with their file, want %d:\n%s", n, command, sessions, strings.Join(one["ftp"][:4], "\n"))
		}
	}
	if n := len(one["files"]); n != sessions*trafficgen.FTPFiles {
		t.Fatalf("%d files, want %d", n, sessions*trafficgen.FTPFiles)
	}
	for _, workers := range []int{2, 3, 4, 8} {
		for range 3 {
			many, report := read(t, workers, "tsv", file)
			if !report.Complete() {
				t.Errorf("%d workers: not everything was written", workers)
			}
			for _, log := range []string{"ftp", "conn", "files", "weird"} {
				if err := same(one[log], many[log]); err != nil {
					t.Errorf("%s.log with %d workers: %v", log, workers, err)
				}
			}
		}
	}
}
