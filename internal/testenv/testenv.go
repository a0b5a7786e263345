// Package testenv tells tests what the machine has: the shared folder with
// recordings of real Zeek, root, tools. It skips with a reason where something
// is missing; it never installs anything. And it
// waits for what takes its time.
package testenv

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Shared returns the folder with captures and recordings of real Zeek, and
// skips the test where it is missing, as on a user's machine. PICKET_SHARED
// overrides the place.
func Shared(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("PICKET_SHARED")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared")
	}
	p := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("needs %s (recordings of real Zeek, not part of this project)", p)
	}
	return p
}

// Root returns the project's root folder, where go.mod is.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	t.Fatalf("no go.mod above the working folder: %v", err)
	return ""
}

// NeedRoot skips the test unless it runs as root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root (network namespaces, AF_PACKET)")
	}
}

// NeedTool skips the test unless the program is on the PATH.
func NeedTool(t testing.TB, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs the program %s", name)
	}
	return p
}

// Frames returns the messages of a recording: one JSON object per line, whose
// "frames" are the parts of one ZeroMQ message in base64.
func Frames(t testing.TB, file string) [][][]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all [][][]byte
	for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
		var m struct {
			Frames [][]byte `json:"frames"`
		}
		if err := dec.Decode(&m); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, m.Frames)
	}
	return all
}

// Eventually waits until ok says yes, and fails the test when that takes longer
// than limit.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen in %s: %s", limit, what)
		}
	}
}
