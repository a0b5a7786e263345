package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/picket-nsm/picket/host/status"
)

const topLong = `Show what each node does, as picket status knows it, once a second on the whole
terminal: state, packets, drops and records per second, batches that wait, memory
(PSS, or RSS where that may not be read), CPU, restarts, and how evenly the workers share the packets. Wide terminals
show more columns.

Keys: q quits; n s p d r u m c t l sort by a column, again the other way round;
arrows, space and b scroll; h shows all keys. With NO_COLOR set there are no
colours. It reads only, and changes nothing. It needs a terminal; scripts use
picket status --json.`

const topExample = `  picket top
  picket top --sort drops
  picket top --url https://sensor-7:27761 --token-file token --ca ca.pem`

// topSorts are the names of --sort.
func topSorts() map[string]byte {
	return map[string]byte{
		"start": 0, "node": 'n', "state": 's', "packets": 'p', "drops": 'd', "records": 'r', "queue": 'u', "memory": 'm', "cpu": 'c', "restarts": 't', "load": 'l',
	}
}

func topCommand() *cobra.Command {
	var t target
	var by string
	cmd := &cobra.Command{
		Use:     "top",
		Short:   "Show what each node does, each second",
		Long:    topLong + targetHelp,
		Example: topExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, ok := topSorts()[by]
			if !ok {
				return usagef("top: --sort %s: want start, node, state, packets, drops, records, queue, memory, cpu, restarts or load", by)
			}
			out, ok := cmd.OutOrStdout().(*os.File)
			if !ok || !term.IsTerminal(int(out.Fd())) || !term.IsTerminal(int(os.Stdin.Fd())) {
				return errors.New("top: this is no terminal; use picket status, or picket status --json for scripts")
			}
			p, err := t.place("top")
			if err != nil {
				return err
			}
			first, err := p.Status(cmd.Context()) // a mistake is told on the screen that the user is on
			switch {
			case err != nil && t.remote():
				return t.explain("top", err)
			case err != nil:
				return err
			}
			view := &status.Top{Sort: key, Colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
			return runTop(p, first, view, os.Stdin, canvas{out})
		},
	}
	t.add(cmd)
	cmd.Flags().StringVar(&by, "sort", "start", "column to sort by at the beginning: node, state, packets, drops, records, queue, memory, cpu, restarts, load, or start for the order of starting")
	return cmd
}

// look is one look at the cluster, or why there is none.
type look struct {
	status *status.Status
	err    error
}

// lookTime is how long a look elsewhere may take.
const lookTime = 10 * time.Second

// runTop shows the cluster until a key or a signal ends it.
func runTop(p place, first *status.Status, view *status.Top, in *os.File, c canvas) error {
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("top: terminal: %w", err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	defer func() { _ = term.Restore(int(in.Fd()), old) }()
	c.enter()
	defer c.leave()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	keys, looks := make(chan rune), make(chan look)
	running.Go(func() { readKeys(ctx, in, keys) })
	running.Go(func() { keepLooking(ctx, p, looks) })
	now, earlier, trouble := first, (*status.Status)(nil), ""
	for {
		w, h := c.size()
		c.paint(view.Render(now, earlier, trouble, w, h))
		select {
		case l := <-looks:
			if trouble = ""; l.err != nil {
				trouble = l.err.Error()
				continue
			}
			if l.status.Time.After(now.Time) { // a door may give the same look twice
				now, earlier = l.status, now
			}
		case k, ok := <-keys:
			if !ok || !view.Key(k) {
				return nil
			}
		case <-resized:
		case <-ctx.Done():
			return nil
		}
	}
}

// keepLooking looks once a second. It is not the screen's goroutine: keys answer
// at once, however long a look takes.
func keepLooking(ctx context.Context, p place, looks chan<- look) {
	tick := time.NewTicker(repaint)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		limit, done := context.WithTimeout(ctx, lookTime)
		s, err := p.Status(limit)
		done()
		select {
		case looks <- look{s, err}:
		case <-ctx.Done():
			return
		}
	}
}

// readKeys reads keys until ctx ends or there are none any more, then closes keys.
func readKeys(ctx context.Context, in *os.File, keys chan<- rune) {
	defer close(keys)
	var held []byte
	buf := make([]byte, 256)
	for ctx.Err() == nil {
		// A read could not be ended from here; waiting can.
		fds := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 50)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		var out []rune
		if n == 0 {
			out, held = parseKeys(held, true), nil // an escape alone is the key
		} else {
			k, err := in.Read(buf)
			if err != nil && !errors.Is(err, syscall.EINTR) || k == 0 && errors.Is(err, io.EOF) {
				return
			}
			held = append(held, buf[:k]...)
			rest := incomplete(held)
			out = parseKeys(held[:len(held)-rest], false)
			held = append([]byte(nil), held[len(held)-rest:]...)
		}
		for _, r := range out {
			select {
			case keys <- r:
			case <-ctx.Done():
				return
			}
		}
	}
}
