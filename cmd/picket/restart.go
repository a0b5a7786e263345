package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/host/supervisor"
)

func restartCommand() *cobra.Command {
	var spool string
	cmd := &cobra.Command{
		Use:   "restart NODE",
		Short: "Stop one node with drain and start it again",
		Long: `Stop one node, letting it drain, and start it again. It returns when the node is
ready, or after a minute with an error. The others work on: workers send their
logs to another logger or wait, and a worker's capture ring fills meanwhile.`,
		Example: "  picket restart worker-1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			before, err := supervisor.Ask(ctx, spool, supervisor.Request{Op: "status"})
			if err != nil {
				return noSupervisor("restart "+args[0], spool, err)
			}
			find := func(st *supervisor.State) *supervisor.NodeState {
				if i := slices.IndexFunc(st.Nodes, func(n supervisor.NodeState) bool { return n.Name == args[0] }); i >= 0 {
					return &st.Nodes[i]
				}
				return nil
			}
			old := find(before.State)
			if old == nil {
				var names []string
				for _, n := range before.State.Nodes {
					names = append(names, n.Name)
				}
				return usagef("restart %s: no such node; there are %v", args[0], names)
			}
			if _, err := supervisor.Ask(ctx, spool, supervisor.Request{Op: "restart", Node: args[0]}); err != nil {
				return noSupervisor("restart "+args[0], spool, err)
			}
			for {
				select {
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
					return fmt.Errorf("restart %s: not ready after a minute; see picket status and picket logs %s", args[0], args[0])
				}
				r, err := supervisor.Ask(ctx, spool, supervisor.Request{Op: "status"})
				if err != nil {
					return noSupervisor("restart "+args[0], spool, err)
				}
				n := find(r.State)
				if n != nil && n.Life > old.Life && (n.Phase == supervisor.Ready || n.Phase == supervisor.Done) {
					fmt.Fprintf(cmd.OutOrStdout(), "%s is %s, pid %d\n", n.Name, n.Phase, n.Handle.PID)
					return nil
				}
			}
		},
	}
	addSpool(cmd, &spool)
	return cmd
}
