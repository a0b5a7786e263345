package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/status/statustest"
)

func TestParseKeys(t *testing.T) {
	for _, c := range []struct {
		in    string
		alone bool
		keys  []rune
		held  int
	}{
		{"q", false, []rune{'q'}, 0},
		{"pp\x03", false, []rune{'p', 'p', 3}, 0},
		{"\x1b[A\x1b[B\x1bOC\x1b[6~j", false, []rune{status.KeyUp, status.KeyDown, status.KeyRight, status.KeyPageDown, 'j'}, 0},
		{"\x1b", false, nil, 1}, {"\x1b", true, []rune{0x1b}, 0},
		{"a\x1b[", false, []rune{'a'}, 2}, {"\x1b[1;", false, nil, 4}, {"\x1b[", true, []rune{'['}, 0},
		{"\x1b[1;5A", false, nil, 0}, {"\x1b[200~", false, nil, 0},
		{"\x1b[" + strings.Repeat("1", 40), false, []rune("[" + strings.Repeat("1", 40)), 0},
		{"\xff\xe0", false, []rune{0xfffd, 0xfffd}, 0},
	} {
		held := incomplete([]byte(c.in))
		if c.alone {
			held = 0
		}
		got := parseKeys([]byte(c.in)[:len(c.in)-held], c.alone)
		if held != c.held || !slices.Equal(got, c.keys) {
			t.Errorf("%q: %q, %d held; want %q, %d", c.in, got, held, c.keys, c.held)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("q\x1b[A\x1b"), true)
	f.Fuzz(func(t *testing.T, b []byte, alone bool) {
		if n := incomplete(b); n < 0 || n > len(b) || n > longest+1 {
			t.Fatal(n)
		}
		if len(parseKeys(b, alone)) > len(b) {
			t.Fatal("more keys than bytes")
		}
	})
}

// pane is a terminal of tmux, in a server of its own.
type pane struct {
	t      *testing.T
	socket string
}

func (p *pane) tmux(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", p.socket, "-f", os.DevNull}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// open starts a shell command in a terminal of w columns and h lines.
func open(t *testing.T, w, h int, command string) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("needs tmux")
	}
	dir, err := os.MkdirTemp("", "tmux") // short: the path of a socket is bounded
	if err != nil {
		t.Fatal(err)
	}
	p := &pane{t: t, socket: filepath.Join(dir, "s")}
	p.tmux("new-session", "-d", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h), command+`; echo "ended with $?"; sleep 600`)
	t.Cleanup(func() {
		_ = exec.Command("tmux", "-S", p.socket, "kill-server").Run()
		_ = os.RemoveAll(dir)
	})
	return p
}

// see waits until the screen has all texts, and returns it.
func (p *pane) see(what string, texts ...string) string {
	p.t.Helper()
	var screen string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		screen = p.tmux("capture-pane", "-p")
		if !slices.ContainsFunc(texts, func(x string) bool { return !strings.Contains(screen, x) }) {
			return screen
		}
	}
	p.t.Fatalf("%s: never %q on\n%s", what, texts, screen)
	return ""
}

func (p *pane) keys(keys ...string) { p.t.Helper(); p.tmux(append([]string{"send-keys"}, keys...)...) }

// picketIn is this test binary as picket, in a shell.
func picketIn(args string) string {
	return fmt.Sprintf("env %s=1 %s %s", envMain, os.Args[0], args)
}

// The whole of picket top, in a terminal, on 128 nodes.
func TestTopInTerminal(t *testing.T) {
	c := statustest.New(t, 128)
	ctx, cancel := context.WithCancel(context.Background())
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		for ctx.Err() == nil {
			c.Move(10)
			time.Sleep(100 * time.Millisecond)
		}
	}()
	defer func() {
		cancel()
		<-moved
	}()
	p := open(t, 80, 24, "NO_COLOR=1 "+picketIn("top --spool "+c.Spool))
	screen := p.see("80x24", "made  up", "NODE", "RST", "hub", "worker-15", "of 128  q quit")
	if lines := strings.Split(strings.TrimRight(screen, "\n"), "\n"); len(lines) != 24 {
		t.Errorf("%d lines:\n%s", len(lines), screen)
	}
	p.see("rates", "packets/s", "! uneven: worker-124 has 2.0 times") // the busiest has twice the mean
	p.keys("p")
	p.see("by packets", "PKT/S*", "worker-124")
	p.keys("p")
	p.see("the other way", "PKT/S^", "worker-1 ")
	p.keys("o", "NPage")
	p.see("second page", "worker-17", "20-38 of 128")
	p.keys("End")
	p.see("end", "worker-124", "110-128 of 128")
	p.keys("Home", "Down", "Down")
	p.see("two down", "3-21 of 128")
	p.keys("h")
	p.see("help", "this text")
	p.keys("Escape")
	p.tmux("resize-window", "-x", "160", "-y", "40")
	p.see("160x40", "PACKETS", "DROPPED", "RECORDS", "3-37 of 128")
	p.tmux("resize-window", "-x", "40", "-y", "10")
	p.see("40x10", "3-7 of 128")
	p.tmux("resize-window", "-x", "80", "-y", "24")
	p.see("80x24 again", "3-21 of 128")
	if colours := p.tmux("capture-pane", "-p", "-e"); strings.Contains(colours, "\x1b[3") || strings.Contains(colours, "\x1b[9") {
		t.Errorf("colours with NO_COLOR:\n%q", colours)
	}
	p.keys("q")
	if screen := p.see("q", "ended with 0"); strings.Contains(screen, "worker-1") {
		t.Errorf("the screen from before is not back:\n%s", screen)
	}
	// Ctrl-C, and colours.
	p = open(t, 80, 24, "env -u NO_COLOR "+picketIn("top --sort load --spool "+c.Spool))
	p.see("sorted by load", "LOAD*")
	if colours := p.tmux("capture-pane", "-p", "-e"); !strings.Contains(colours, "\x1b[1m") {
		t.Errorf("no colours:\n%q", colours)
	}
	p.keys("C-c")
	p.see("Ctrl-C", "ended with 0")
}

func TestTopWithoutTerminal(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if out, code := m.picket("top"); code != exitFailure || !strings.Contains(out, "top: this is no terminal; use picket status, or picket status --json for scripts") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := m.picket("top", "--sort", "x"); code != exitUsage {
		t.Errorf("%d %s", code, out)
	}
	p := open(t, 200, 24, picketIn("top --spool "+filepath.Join(m.dir, "none")))
	p.see("no cluster", "picket: status of", "ended with 1")
}
