package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/api/control"
	"github.com/picket-nsm/picket/host/status"
)

const logsLong = `Show what a node has printed: its stdout.log and stderr.log in the spool. These
are the process's own words, warnings and crashes; Zeek's logs are in the logs
folder. With -f it goes on showing what is added, also when the node starts
again. From elsewhere, by --url, it shows what there is and ends.`

func logsCommand() *cobra.Command {
	var t target
	var follow, previous bool
	var n int
	cmd := &cobra.Command{
		Use:   "logs NODE",
		Short: "Show what a node prints",
		Long:  logsLong + targetHelp,
		Example: `  picket logs worker-1
  picket logs logger-1 -f
  picket logs worker-2 --previous -n 50     the life that ended last`,
		Args: oneNode,
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 0 {
				return usagef("logs: --lines %d: want 0 or more", n)
			}
			if t.remote() {
				if follow || previous {
					return usagef("logs: --follow and --previous are for clusters on this machine")
				}
				return remoteLogs(cmd, &t, args[0], n)
			}
			spool := t.spool
			dir := filepath.Join(spool, args[0])
			st, err := os.Stat(dir)
			if errors.Is(err, os.ErrPermission) {
				return fmt.Errorf("logs %s: %w; only the owner of the spool may read it", args[0], err)
			}
			if err != nil || !st.IsDir() || filepath.Base(args[0]) != args[0] {
				return fmt.Errorf("logs %s: no such node in %s; picket status lists them, --spool names another folder", args[0], spool)
			}
			end := ""
			if previous {
				end = ".1"
			}
			var tails []*status.Tail
			for _, name := range []string{"stdout.log", "stderr.log"} {
				tails = append(tails, &status.Tail{Path: filepath.Join(dir, name+end)})
			}
			for _, f := range tails {
				if err := f.Last(cmd.OutOrStdout(), n); err != nil {
					return fmt.Errorf("logs %s: %w", args[0], err)
				}
			}
			if !follow {
				return nil
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return nil
				}
				for _, f := range tails {
					if err := f.More(cmd.OutOrStdout()); err != nil {
						return fmt.Errorf("logs %s: %w", args[0], err)
					}
				}
			}
		},
	}
	t.add(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on showing what is added")
	cmd.Flags().BoolVarP(&previous, "previous", "p", false, "show the life before this one")
	cmd.Flags().IntVarP(&n, "lines", "n", 20, "how many lines of each file to begin with")
	return cmd
}

// remoteLogs shows the end of what a node elsewhere has printed.
func remoteLogs(cmd *cobra.Command, t *target, node string, n int) error {
	c, err := t.client("logs")
	if err != nil {
		return err
	}
	for _, stream := range []string{control.Stdout, control.Stderr} {
		lines, err := c.Output(cmd.Context(), node, stream, n)
		if err != nil {
			return t.explain("logs "+node, err)
		}
		for _, l := range lines {
			fmt.Fprintln(cmd.OutOrStdout(), status.Printable(l))
		}
	}
	return nil
}
