package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/host/supervisor"
)

const restartLong = `Stop one node, letting it drain, and start it again. It returns when the node is
ready, or after a minute with an error. The others work on: workers send their
logs to another logger or wait, and a worker's capture ring fills meanwhile. Who
restarted what is in the spool's audit.jsonl.`

func restartCommand() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "restart NODE",
		Short: "Stop one node with drain and start it again",
		Long:  restartLong + targetHelp,
		Example: `  picket restart worker-1
  picket restart worker-1 --url https://sensor-7:27761 --token-file token --ca ca.pem`,
		Args: oneNode,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			op := "restart " + args[0]
			p, err := t.place(op)
			if err != nil {
				return err
			}
			before, err := p.State(ctx)
			if err != nil {
				return t.explain(op, err)
			}
			old := findNode(before, args[0])
			if old == nil {
				var names []string
				for _, n := range before.Nodes {
					names = append(names, n.Name)
				}
				return noSuchNode(op, args[0], names)
			}
			if err := p.Restart(ctx, args[0]); err != nil {
				return t.explain(op, err)
			}
			for {
				select {
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
					return fmt.Errorf("restart %s: not ready after a minute; see picket status and picket logs %s", args[0], args[0])
				}
				st, err := p.State(ctx)
				if err != nil {
					if t.remote() && ctx.Err() == nil {
						continue // the node may be the one that holds the door
					}
					return t.explain(op, err)
				}
				if n := findNode(st, args[0]); n != nil && n.Life > old.Life && (n.Phase == supervisor.Ready || n.Phase == supervisor.Done) {
					fmt.Fprintf(cmd.OutOrStdout(), "%s is %s, pid %d\n", n.Name, n.Phase, n.Handle.PID)
					return nil
				}
			}
		},
	}
	t.add(cmd)
	return cmd
}

func findNode(st *supervisor.State, name string) *supervisor.NodeState {
	if i := slices.IndexFunc(st.Nodes, func(n supervisor.NodeState) bool { return n.Name == name }); i >= 0 {
		return &st.Nodes[i]
	}
	return nil
}
