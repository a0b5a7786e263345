package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
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

func screenFor(w io.Writer, plain bool) screen {
	if f, ok := w.(*os.File); ok && !plain && term.IsTerminal(int(f.Fd())) {
		return &terminal{f: f}
	}
	return &lines{w: w}
}

// lines prints a line for each thing that happens.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) log() *slog.Logger                 { return slog.New(&eventHandler{l}) }
func (l *lines) run(ctx context.Context, _ string) { <-ctx.Done() }
func (l *lines) close()                            {}
func (l *lines) out() io.Writer                    { return l.w }
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

// terminal repaints one picture each second, on the terminal's other screen so
// that what was there before comes back.
type terminal struct {
	f *os.File
}

const repaint = time.Second

func (t *terminal) log() *slog.Logger { return nil }
func (t *terminal) line(string)       {}
func (t *terminal) out() io.Writer    { return t.f }

func (t *terminal) run(ctx context.Context, spool string) {
	fmt.Fprint(t.f, "\x1b[?1049h\x1b[?25l")
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
			fmt.Fprint(t.f, "\x1b[?25h\x1b[?1049l")
			return
		}
		s, err := status.Collect(spool, last)
		if err != nil {
			continue // not begun yet
		}
		last = s
		w, h, err := term.GetSize(int(t.f.Fd()))
		if err != nil {
			w, h = 80, 24
		}
		picture := status.Render(s, w, h, "Ctrl-C stops the cluster in order")
		_, _ = t.f.Write(append(append([]byte("\x1b[H"), picture...), "\x1b[J"...))
	}
}

func (t *terminal) close() {}
