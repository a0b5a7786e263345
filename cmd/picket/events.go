package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/api/wsclient"
	"github.com/picket-nsm/picket/host/status"
)

const eventsLong = `Watch the events of a cluster, or publish one, over Zeek's WebSocket API: at
Picket's manager by default, at any Picket door or real Zeek with --url.

The server is --url, else the variable PICKET_URL, else the door of the cluster in
--spool if one runs there, else ws://127.0.0.1:27759/v1/messages/json. A token is
taken from --token-file or the variable PICKET_TOKEN, never from the command line,
where others would see it.`

const eventsExample = `  picket events sub /                          every topic that begins with /
  picket events sub "" -n 10 --json            the next ten events, as JSON lines
  picket events sub zeek.cluster. --event 'Cluster::*'
  picket events pub /test/ping ping hello 42
  picket events pub /soc/block Soc::block 10.0.0.1 30min`

// server is the flags that say where to connect.
type server struct {
	url, spool, app string
	badge           badge
	v2              bool
}

func eventsCommand() *cobra.Command {
	var s server
	cmd := &cobra.Command{
		Use:     "events",
		Short:   "Watch or publish events",
		Long:    eventsLong,
		Example: eventsExample,
		Args:    noSuchCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := cmd.PersistentFlags()
	f.StringVar(&s.url, "url", "", "server, as ws://host:port or wss://host:port")
	f.StringVar(&s.spool, "spool", "spool", "folder of the cluster, as given to picket up")
	s.badge.add(cmd, "wss://")
	f.StringVar(&s.app, "app", "picket-events", "name to tell the server")
	f.BoolVar(&s.v2, "v2", false, "use /v2, which only Picket has: records by field name, any bytes")
	cmd.AddCommand(eventsSubCommand(&s), eventsPubCommand(&s))
	return cmd
}

// config puts together what the flags, the environment and the spool say.
func (s *server) config() (wsclient.Config, error) {
	c := wsclient.Config{URL: s.url, Application: s.app}
	if c.URL == "" {
		c.URL = os.Getenv("PICKET_URL")
	}
	if c.URL == "" {
		c.URL = doorOf(s.spool)
	}
	if s.v2 {
		c.URL = strings.TrimSuffix(strings.TrimSuffix(c.URL, "/v1/messages/json"), "/") + "/v2/messages/json"
	}
	var err error
	c.Token, c.TLS, err = s.badge.read("events")
	return c, err
}

// doorOf is the URL of the door of the cluster that runs in a spool, or Zeek's.
func doorOf(spool string) string {
	if st, err := status.Collect(spool, nil); err == nil {
		for _, d := range st.Doors {
			if d.Kind == doorWebSocket && d.URL != "" {
				return d.URL
			}
		}
	}
	return wsclient.DefaultURL
}

// connectError says what to do about a server that is not there.
func connectError(op string, err error) error {
	var refused *wsclient.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Status == 401:
		return fmt.Errorf("events %s: %w; give a token with --token-file or PICKET_TOKEN, or a certificate with --cert and --key", op, err)
	case errors.Is(err, context.DeadlineExceeded):
		return withCode(exitPartial, fmt.Errorf("events %s: no answer in time: %w", op, err))
	case wsclient.Permanent(err):
		return fmt.Errorf("events %s: %w", op, err)
	}
	return fmt.Errorf("events %s: %w; does the cluster run (picket status), or is it elsewhere (--url)?", op, err)
}

// matches reports whether a name is one of the patterns, as in a shell. No
// pattern: any name is.
func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := filepath.Match(p, name); err == nil && ok {
			return true
		}
	}
	return len(patterns) == 0
}
