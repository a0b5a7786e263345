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
	cliPages(&b, root)
	return b.String()
}

// cliPages writes the pages of the commands below cmd, and of those below them.
func cliPages(b *strings.Builder, cmd *cobra.Command) {
	for _, cmd := range cmd.Commands() {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		fmt.Fprintf(b, "\n## %s\n\n%s.\n\n```\n%s```\n", cmd.CommandPath(), cmd.Short, helpText(cmd))
		cliPages(b, cmd)
	}
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
