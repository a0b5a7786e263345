package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/picket-nsm/picket/host/status"
)

// screen is where picket up shows what goes on: one picture on a terminal,
// lines elsewhere.
type screen interface {
	log() *slog.Logger // for lines; nil on a terminal
	line(text string)
	run(ctx context.Context, spool string)
	close()
	out() io.Writer
}

func screenFor(w, errOut io.Writer, plain bool) screen {
	if f, ok := w.(*os.File); ok && !plain && term.IsTerminal(int(f.Fd())) {
		return &terminal{canvas{f}}
	}
	return &lines{w: w, errOut: errOut}
}

// lines prints a line for each thing that happens.
type lines struct {
	mu     sync.Mutex
	w      io.Writer
	errOut io.Writer // for what is wrong and stops nothing
}

func (l *lines) log() *slog.Logger { return slog.New(&eventHandler{l}) }
func (l *lines) close()            {}
func (l *lines) out() io.Writer    { return l.w }

// run tells once of each door that does not open, and again if the cause changes.
func (l *lines) run(ctx context.Context, spool string) {
	tick := time.NewTicker(repaint)
	defer tick.Stop()
	said := map[string]string{}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, d := range status.ClosedDoors(spool) {
			if at := d.Node + " " + d.Kind; said[at] != d.Trouble {
				said[at] = d.Trouble
				fmt.Fprintln(l.errOut, "picket: "+strings.TrimPrefix(status.Printable(d.String()), "! "))
			}
		}
	}
}

func (l *lines) line(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.w, time.Now().Format("15:04:05")+"  "+text)
}

// eventHandler prints the supervisor's events as people read them.
type eventHandler struct{ l *lines }

func (h *eventHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *eventHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *eventHandler) WithGroup(string) slog.Handler            { return h }
func (h *eventHandler) Handle(_ context.Context, r slog.Record) error {
	who, more := "cluster", ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "node" {
			who = a.Value.String()
		} else {
			more += " " + a.Value.String()
		}
		return true
	})
	h.l.line(who + ": " + r.Message + more)
	return nil
}

// canvas is a terminal's other screen, so that what was there before comes back.
type canvas struct {
	f *os.File
}

func (c canvas) enter() { fmt.Fprint(c.f, "\x1b[?1049h\x1b[?25l") }
func (c canvas) leave() { fmt.Fprint(c.f, "\x1b[?25h\x1b[?1049l") }

// size is that of now, in columns and lines.
func (c canvas) size() (w, h int) {
	w, h, err := term.GetSize(int(c.f.Fd()))
	if err != nil || w < 1 || h < 1 {
		return 80, 24
	}
	return w, h
}

// paint shows a picture in place of the last one, by one write: it does not flicker.
func (c canvas) paint(picture []byte) {
	_, _ = c.f.Write(append(append([]byte("\x1b[H"), picture...), "\x1b[J"...))
}

// terminal repaints one picture each second.
type terminal struct {
	canvas
}

const repaint = time.Second

func (t *terminal) log() *slog.Logger { return nil }
func (t *terminal) line(string)       {}
func (t *terminal) out() io.Writer    { return t.f }

func (t *terminal) run(ctx context.Context, spool string) {
	t.enter()
	defer t.leave()
	tick := time.NewTicker(repaint)
	defer tick.Stop()
	soon := time.NewTimer(100 * time.Millisecond) // not an empty screen for a second
	defer soon.Stop()
	var last *status.Status
	for {
		select {
		case <-tick.C:
		case <-soon.C:
		case <-ctx.Done():
			return
		}
		s, err := status.Collect(spool, last)
		if err != nil {
			continue // not begun yet
		}
		last = s
		w, h := t.size()
		t.paint(status.Render(s, w, h, "Ctrl-C stops the cluster in order"))
	}
}

func (t *terminal) close() {}
