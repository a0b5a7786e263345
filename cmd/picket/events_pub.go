package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/api/wsclient"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

const eventsPubLong = `Publish one event to a topic. Whoever subscribes to a prefix of the topic gets it:
nodes, and other clients of the API.

Zeek does not convert: an argument must be of the very type that the event declares.
It is taken from its look:

  T F                    bool          10.0.0.1 2001:db8::1      addr
  42                     count         10.0.0.0/8 2001:db8::/32  subnet
  -1 +1                  int           443/tcp 53/udp            port
  0.5 1e3                double        90sec 1.5min 2hr 1day     interval
  2024-01-31T12:00:00Z   time          everything else           string

Where the look deceives, say the type: count:1 int:1 double:1 string:42 enum:Conn::LOG
time:1700000000.25 interval:90sec. Containers are written as set:1,2 vector:a,b with
elements as above, or with their type: set:string:1,string:2. Anything else is written
as in the API: 'json:{"@data-type":"table","data":[]}'.

The server says nothing of an event that is fine. The command waits a moment for a
complaint; with Picket at the other end it then also knows that the event was handled.

Exit codes
  0  sent, and nobody complained
  1  no connection, or the server complained; the message says why
  2  the command line is wrong
  4  --timeout came first`

const eventsPubExample = `  picket events pub /gold/ping Gold::ping hello count:5
  picket events pub /soc/block Soc::block 10.0.0.1 30min string:2024
  PICKET_TOKEN=$(cat token) picket events pub --url wss://sensor:27759 --ca ca.pem /soc/x Soc::x`

func eventsPubCommand(s *server) *cobra.Command {
	var timeout, settle time.Duration
	cmd := &cobra.Command{
		Use:     "pub TOPIC EVENT [ARG...]",
		Short:   "Publish an event",
		Long:    eventsPubLong,
		Example: eventsPubExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("events pub: want a topic, the name of an event, and its arguments")
			}
			for _, a := range args[2:] {
				// A token or an authority would leave as an argument, without a word.
				name, isFlag := strings.CutPrefix(a, "--")
				name, _, _ = strings.Cut(name, "=")
				if isFlag && cmd.Flags().Lookup(name) != nil {
					return usagef("events pub: %s: flags come before the topic; an argument with this text is string:%s", a, a)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var values []value.Value
			for i, a := range args[2:] {
				v, err := parseArg(a)
				if err != nil {
					return usagef("events pub: argument %d, %s: %w", i+1, a, err)
				}
				values = append(values, v)
			}
			return publish(s, timeout, settle, args[0], event.New(args[1], values...))
		},
	}
	// Numbers below zero are arguments, not flags.
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "give up after this time")
	cmd.Flags().DurationVar(&settle, "settle", 200*time.Millisecond, "how long to wait for a complaint of a server that is not Picket")
	return cmd
}

func publish(s *server, timeout, settle time.Duration, topic string, e event.Event) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cfg.Timeout = timeout
	conn, err := wsclient.Dial(ctx, cfg)
	if err != nil {
		return connectError("pub", err)
	}
	complaint, ended := make(chan error, 1), make(chan error, 1)
	go func() { // ends with the connection
		for {
			_, err := conn.Recv(context.Background())
			var said *wsclient.ServerError
			switch {
			case err == nil: // it subscribes to nothing
			case errors.As(err, &said):
				select {
				case complaint <- err:
				default: // one is enough
				}
			default:
				ended <- err
				return
			}
		}
	}()
	err = conn.Publish(ctx, topic, e)
	if err == nil {
		err = conn.Sync(ctx)
	}
	if err == nil && !strings.HasSuffix(conn.Version, "-picket") {
		t := time.NewTimer(settle)
		select {
		case said := <-complaint:
			complaint <- said
		case <-t.C:
		}
		t.Stop()
	}
	_ = conn.Close() // what was sent before the goodbye arrives before it
	bye := <-ended
	select {
	case said := <-complaint:
		return fmt.Errorf("events pub: %w", said)
	default:
	}
	var closed *wsclient.ClosedError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return withCode(exitPartial, fmt.Errorf("events pub: no answer in %v", timeout))
	case errors.As(bye, &closed):
		return fmt.Errorf("events pub: %w", closed)
	}
	return fmt.Errorf("events pub: %w", err)
}
