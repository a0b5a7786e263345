package main

import (
	"io"

	"github.com/spf13/cobra"
)

const rootLong = `Picket is a Zeek cluster in one binary: manager, loggers, proxies and workers,
the bus between them, and the supervisor that keeps them alive. It writes Zeek's
logs and speaks Zeek's formats.

Exit codes
  0  it worked
  1  it did not work; the message says what, on what, why, and what to do
  2  the command line is wrong
  3  the configuration is wrong; the message gives file and line
  4  it worked in part: something was lost, dropped, or is not as it should be`

const rootExample = `  picket read trace.pcap                   logs of a capture, on all cores
  picket up --read trace.pcap --pace 10s   a whole cluster fed from a capture; no root needed
  picket up -i eth0 -W 4                   a cluster on this machine; Ctrl-C stops it in order
  picket status                            what each node does
  picket top                               the same each second
  picket logs worker-1 -f                  what a node prints`

// newRoot wires all commands. Each is made by one function in its own file.
func newRoot(out, errOut io.Writer) *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:           "picket",
		Short:         "A Zeek cluster in one binary",
		Long:          rootLong,
		Example:       rootExample,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				return sayVersion(cmd.OutOrStdout())
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolVar(&version, "version", false, "print the version, as picket version does")
	root.SetOut(out)
	root.SetErr(errOut)
	root.SetFlagErrorFunc(flagMistake)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		readCommand(),
		upCommand(),
		statusCommand(),
		topCommand(),
		logsCommand(),
		restartCommand(),
		stopCommand(),
		checkCommand(),
		nodeCommand(),
		hubCommand(),
		brokerCommand(),
		eventsCommand(),
		layoutCommand(),
		versionCommand(),
	)
	return root
}
