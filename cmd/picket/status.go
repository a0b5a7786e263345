package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
)

const statusLong = `Show what each node of a cluster does: process, state, uptime, restarts and why,
memory, CPU, packets received and dropped, records produced and written, and
batches that wait. MEM is PSS: memory that processes share is divided among them.
Where the PSS of a node may not be read (it is another user's), the column is RSS,
says so, and counts shared memory with each. The numbers come from the nodes' ledgers and from the system,
so they are there also when a node or the supervisor hangs or is dead.

States: waiting, starting, late (not ready in time), ready, hangs (no heartbeat,
or stopped by a signal), draining, stopping, backoff (died, starts again soon),
done, failed (given up), stopped, gone (died, nobody has taken note).

The exit code is 0 if every node is ready or done, or the cluster was stopped; 4 if
a node is in another state; 1 if no
cluster has run in the spool.`

const statusExample = `  picket status
  picket status --json | jq '.nodes[] | {name, state, packets_dropped}'
  watch -n1 picket status
  picket status --url https://sensor-7:27761 --token-file token --ca ca.pem`

func statusCommand() *cobra.Command {
	var t target
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show what each node does",
		Long:    statusLong + targetHelp,
		Example: statusExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := t.place("status")
			if err != nil {
				return err
			}
			s, err := p.Status(cmd.Context())
			switch {
			case err != nil && t.remote():
				return t.explain("status", err)
			case err != nil:
				return err
			case s.Supervisor.Alive && !t.remote(): // the door looks twice itself
				// A second look, for the CPU of now instead of since the start.
				time.Sleep(statusLook)
				if again, err := p.Status(cmd.Context()); err == nil {
					s = again
				}
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(s)
			} else {
				err = status.Table(cmd.OutOrStdout(), s)
			}
			if err != nil {
				return fmt.Errorf("status: %w", err)
			}
			if s.Phase != supervisor.PhaseStopped && s.Totals.Ready < s.Totals.Nodes {
				return silent(exitPartial)
			}
			return nil
		},
	}
	t.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with every counter and the accounting")
	return cmd
}

// statusLook is the time between the two looks of picket status.
const statusLook = 200 * time.Millisecond

func addSpool(cmd *cobra.Command, spool *string) {
	cmd.Flags().StringVar(spool, "spool", "spool", "folder of the cluster, as given to picket up")
}

// noSupervisor says what to do where none works.
func noSupervisor(op, spool string, err error) error {
	if errors.Is(err, supervisor.ErrNotRunning) {
		return fmt.Errorf("%s: no supervisor works in %s; picket up starts one and takes over nodes that run; --spool names another folder", op, spool)
	}
	return fmt.Errorf("%s: %w", op, err)
}
