package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// cliMarkdown is docs/cli.md: the help of every command, as it is.
func cliMarkdown() string {
	var b strings.Builder
	root := newRoot(io.Discard, io.Discard)
	fmt.Fprintf(&b, "# Commands\n\n<!-- Made by: go test ./cmd/picket -run Cli -update. Do not edit. -->\n\n```\n%s\n```\n", rootLong)
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		fmt.Fprintf(&b, "\n## picket %s\n\n%s.\n\n```\n%s```\n", cmd.Name(), cmd.Short, helpText(cmd))
	}
	return b.String()
}

func helpText(cmd *cobra.Command) string {
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.InitDefaultHelpFlag()
	_ = cmd.Help() // writes into memory
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}
