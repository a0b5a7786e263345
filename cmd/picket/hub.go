package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/hub"
	"github.com/picket-nsm/picket/node"
)

const hubLong = `Run the bus that the nodes of this machine talk over. picket up starts one by
itself; run it by hand together with picket node.

Whoever connects needs the user and password that the hub was started with, taken
from the variables PICKET_BUS_USER (default picket) and PICKET_BUS_TOKEN. The hub
needs no privilege. It keeps a ledger in the working folder, and ends on SIGTERM
or SIGINT.`

const hubExample = `  export PICKET_BUS_TOKEN=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
  picket hub --listen 127.0.0.1:4222`

func hubCommand() *cobra.Command {
	var listen, cluster, websocket string
	cmd := &cobra.Command{
		Use:     "hub",
		Short:   "Run the bus between the nodes",
		Long:    hubLong,
		Example: hubExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := hubSpec(listen, cluster, websocket)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			defer serveMetrics(spec, log)()
			return hub.Run(ctx, spec, hub.Deps{
				Log: log,
				Up:  func(url string) { fmt.Fprintln(cmd.OutOrStdout(), "hub listens on", url) }, Doors: openDoors,
			})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:4222", "address and port; port 0: a free one")
	cmd.Flags().StringVar(&cluster, "cluster", "picket", "name of the cluster")
	cmd.Flags().StringVar(&websocket, "websocket", "off", "address of Zeek's WebSocket API, on loopback, as 127.0.0.1:27759")
	return cmd
}

func hubSpec(listen, cluster, websocket string) (node.Spec, error) {
	if fd := os.Getenv(engine.EnvSpecFD); fd != "" {
		return inheritedSpec(fd)
	}
	s := node.Spec{Cluster: cluster, Name: "hub", Role: hub.Role, Doors: websocketDoor(websocket)}
	s.Bus = node.Bus{URL: "nats://" + listen, User: os.Getenv("PICKET_BUS_USER"), Token: os.Getenv("PICKET_BUS_TOKEN")}
	if s.Bus.User == "" {
		s.Bus.User = "picket"
	}
	if s.Bus.Token == "" {
		return s, withCode(exitConfig, errors.New("hub: no password: set PICKET_BUS_TOKEN here and for each picket node"))
	}
	wd, err := os.Getwd()
	if err != nil {
		return s, fmt.Errorf("hub: working folder: %w", err)
	}
	s.Dir = wd
	return s, nil
}
