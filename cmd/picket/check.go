package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/control/plan"
)

const checkLong = `Read a configuration, print what is in effect with every default, say which nodes
it makes, and look for what would stop them: interfaces that are missing or down,
folders that cannot be written, ports in use. Nothing is started or changed. It
takes the flags of picket up that make a configuration, with the same meaning.

The exit code is 3 if the configuration is wrong (all mistakes are told at once,
with file and line: keys that do not exist, values of the wrong kind and values
that cannot be, filters too), and 1 if something stands in the way on this machine.`

const checkExample = `  picket check -c cluster.toml
  picket check -i eth0 -i eth1 -W 4
  picket check > cluster.toml              a file with every setting, its default and its meaning`

func checkCommand() *cobra.Command {
	var f upFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "check [-c FILE]",
		Short:   "Check a configuration, and this machine against it",
		Long:    checkLong,
		Example: checkExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := f.input(cmd, args)
			if err != nil {
				return err
			}
			nodes, err := plan.Nodes(in)
			if err != nil {
				return err
			}
			var names []string
			for _, n := range nodes {
				names = append(names, n.Name)
			}
			found := preflight(in)
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				if err := enc.Encode(map[string]any{"config": in.Config, "nodes": names, "findings": found}); err != nil {
					return fmt.Errorf("check: %w", err)
				}
			} else {
				if _, err := fmt.Fprint(cmd.OutOrStdout(), in.Config.TOML(true)); err != nil { // half a file is no file
					return fmt.Errorf("check: %w", err)
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "nodes: %v\n", names)
				for _, x := range found {
					fmt.Fprintf(cmd.ErrOrStderr(), "%-4s  %s: %s\n", x.Level, x.Subject, x.Text)
				}
			}
			if found.failure() != nil {
				return silent(exitFailure)
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print configuration, nodes and findings as JSON")
	return cmd
}
