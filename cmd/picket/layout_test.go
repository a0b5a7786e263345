package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
)

// The whole command does what real Zeek's generator does: bytes, messages, exit
// codes.
func TestLayoutAsZeek(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(testenv.Shared(t, "golden", "layouts"), "layout-*"))
	if err != nil || len(dirs) == 0 {
		t.Fatal("no recordings", err)
	}
	for _, dir := range dirs {
		want := func(name string) string {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		args := append([]string{"layout"}, strings.Fields(strings.ReplaceAll(want("args"), "'", ""))...)
		var out, errOut bytes.Buffer
		root := newRoot(&out, &errOut)
		root.SetArgs(args)
		err := root.Execute()
		if out.String() != want("stdout") || errOut.String() != want("stderr") || strconv.Itoa(exitCode(err)) != strings.TrimSpace(want("rc")) || message(err) != "" {
			t.Errorf("%v: exit %d, %q\n%s%s", args, exitCode(err), message(err), &out, &errOut)
		}
	}
}

func TestLayoutIntoAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster-layout.zeek")
	for range 2 {
		root := newRoot(os.Stderr, os.Stderr)
		root.SetArgs([]string{"layout", "-W", "2", "-o", path})
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), `["worker-2"]`) {
		t.Errorf("%s, %v", text, err)
	}
	if left, _ := filepath.Glob(filepath.Dir(path) + "/.*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What cannot be written is named once.
func TestLayoutOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	err := runLayout(os.Stderr, os.Stderr, []string{"-o", "/dev/full"})
	if exitCode(err) != exitFailure || message(err) != "layout: write /dev/full: no space left on device" {
		t.Errorf("exit %d, %q", exitCode(err), message(err))
	}
}
