package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/api/wsclient"
	"github.com/picket-nsm/picket/zeek/eventjson"
)

const eventsSubLong = `Print events as they are published to topics that begin with one of those given.
"" is every topic. The subscription is kept: when the server goes away, the
command connects again, and says on standard error that events may be missing.

A line is the topic, the event and its arguments. With --json it is an object with
the keys topic, event and args; addresses, ports, times and enums are strings,
intervals are strings as "90s", a table with string keys is an object, others are
lists of pairs, a record is a list, or with --v2 an object. With --typed it is the
message of the API, with the type of each value.

Exit codes
  0  interrupted, or -n events were printed
  1  the server refused; the message says why
  2  the command line is wrong
  4  --timeout came first`

const eventsSubExample = `  picket events sub zeek.cluster. --timeout 10s
  picket events sub /alerts -n 1 --timeout 1m && echo there was one
  picket events sub "" --json | jq -r .event | sort | uniq -c
  picket events sub "" --event 'Cluster::*' --event 'Notice::*' --grep worker-1`

// subFlags is what picket events sub is told.
type subFlags struct {
	n           int
	timeout     time.Duration
	json, typed bool
	events      []string
	grep        string
}

func eventsSubCommand(s *server) *cobra.Command {
	var f subFlags
	cmd := &cobra.Command{
		Use:     "sub TOPIC...",
		Short:   "Print events as they come",
		Long:    eventsSubLong,
		Example: eventsSubExample,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(`events sub: no topic; "" is every topic`)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return subscribe(cmd.OutOrStdout(), cmd.ErrOrStderr(), s, f, args)
		},
	}
	fl := cmd.Flags()
	fl.IntVarP(&f.n, "count", "n", 0, "end after this many events; 0: never")
	fl.DurationVar(&f.timeout, "timeout", 0, "end after this time; 0: never")
	fl.BoolVar(&f.json, "json", false, "print JSON lines")
	fl.BoolVar(&f.typed, "typed", false, "print the messages of the API")
	fl.StringArrayVar(&f.events, "event", nil, "only events whose name matches, * and ? as in a shell; may be given again")
	fl.StringVar(&f.grep, "grep", "", "only events whose line matches this regular expression")
	return cmd
}

// errEnough ends a subscription that has seen all it wanted.
var errEnough = errors.New("enough")

func subscribe(out, errOut io.Writer, s *server, f subFlags, topics []string) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	var grep *regexp.Regexp
	if f.grep != "" {
		if grep, err = regexp.Compile(f.grep); err != nil {
			return usagef("events sub: --grep: %w", err)
		}
	}
	for _, p := range f.events {
		if _, err := filepath.Match(p, ""); err != nil {
			return usagef("events sub: --event %q: %w", p, err)
		}
	}
	if f.n < 0 || f.timeout < 0 || f.json && f.typed {
		return usagef("events sub: -n and --timeout want 0 or more, and --json does not go with --typed")
	}
	cfg.Topics = topics
	signaled, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, end := context.WithCancelCause(signaled)
	defer end(nil)
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	w := bufio.NewWriter(out)
	seen, connected := 0, false
	var line []byte
	var c *wsclient.Client
	c, err = wsclient.New(cfg, wsclient.Handler{
		Event: func(e wsclient.Event) {
			if ctx.Err() != nil || !matches(f.events, e.Name) {
				return
			}
			line = appendEventLine(line[:0], e, f)
			if grep != nil && !grep.Match(line) {
				return
			}
			_, err := w.Write(append(line, '\n'))
			if err == nil {
				err = w.Flush()
			}
			if seen++; err != nil {
				end(err)
			} else if seen == f.n {
				end(errEnough)
			}
		},
		Error: func(err error) { fmt.Fprintln(errOut, "picket:", err) },
		Up: func(*wsclient.Conn) {
			if connected {
				fmt.Fprintln(errOut, "picket: connected again; events of the time between are missing")
			}
			connected = true
		},
		Down: func(err error, _ time.Duration) {
			switch {
			case !connected:
				end(err) // a server that was never there
			default:
				fmt.Fprintln(errOut, "picket: connection lost:", err)
			}
		},
	})
	if err != nil {
		return usagef("events sub: %w", err)
	}
	err = c.Run(ctx)
	cause := context.Cause(ctx)
	switch {
	case err != nil:
		return connectError("sub", err)
	case errors.Is(cause, errEnough), signaled.Err() != nil:
		return nil
	case errors.Is(cause, context.DeadlineExceeded) && f.n == 0:
		return nil
	case errors.Is(cause, context.DeadlineExceeded):
		return withCode(exitPartial, fmt.Errorf("events sub: %d of %d events in %v", seen, f.n, f.timeout))
	case !connected:
		return connectError("sub", fmt.Errorf("connect to %s: %w", cfg.URL, cause))
	}
	return fmt.Errorf("events sub: %w", cause)
}

// appendEventLine writes an event in the form that is asked for.
func appendEventLine(dst []byte, e wsclient.Event, f subFlags) []byte {
	switch {
	case f.json:
		return appendEventJSON(dst, e)
	case f.typed:
		out, err := eventjson.AppendEvent(dst, e.Topic, &e.Event, eventjson.Strict, nil)
		if err == nil {
			return out
		}
	}
	return appendEventText(dst, e)
}
