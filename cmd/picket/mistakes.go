package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/picket-nsm/picket/internal/nearest"
)

// flagMistake words what is wrong with a flag: which one was meant, or how its
// value is written. pflag alone speaks of strconv.
func flagMistake(cmd *cobra.Command, err error) error {
	op := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "picket"), " ")
	if op != "" {
		op += ": "
	}
	var unknown *pflag.NotExistError
	var bad *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if s := nearest.Of(unknown.GetSpecifiedName(), names); s != "" {
			return usagef("%sunknown flag: --%s: did you mean --%s?", op, unknown.GetSpecifiedName(), s)
		}
	case errors.As(err, &bad):
		if want := wanted(bad.GetFlag().Value.Type()); want != "" {
			return usagef("%s--%s %q: want %s", op, bad.GetFlag().Name, bad.GetValue(), want)
		}
		return usagef("%s--%s: %w", op, bad.GetFlag().Name, bad.Unwrap())
	}
	return usagef("%s%w", op, err)
}

// wanted says how a value of a kind of flag is written; "" if its own error does.
func wanted(kind string) string {
	switch kind {
	case "int":
		return "a whole number"
	case "bool":
		return "true or false"
	case "duration":
		return "a duration, as 500ms, 10s or 5m"
	}
	return ""
}

// noSuchNode answers a node's name that is not there.
func noSuchNode(op, name string, there []string) error {
	if s := nearest.Of(name, there); s != "" {
		return usagef("%s: no such node: did you mean %s?", op, s)
	}
	return usagef("%s: no such node; there are %s", op, strings.Join(there, ", "))
}

// oneNode wants the name of a node, and nothing else.
func oneNode(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return usagef("%s: no node given, as in: picket %s worker-1", cmd.Name(), cmd.Name())
	case 1:
		return nil
	}
	return usagef("%s %s: one node at a time", cmd.Name(), strings.Join(args, " "))
}

// noArgs refuses arguments with a message that names the first one.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s %s: takes no arguments", cmd.Name(), args[0])
	}
	return nil
}

// noSuchCommand answers a first word that is no command.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if s := nearest.Of(args[0], names); s != "" {
		return usagef("unknown command %q: did you mean %q?", args[0], s)
	}
	for _, n := range names {
		if strings.HasPrefix(n, args[0]) {
			return usagef("unknown command %q: did you mean %q?", args[0], n)
		}
	}
	return usagef("unknown command %q%s", args[0], there(cmd))
}

// there names what a command has below it, where that is not the whole list.
func there(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return ""
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return fmt.Sprintf("; %s has %s", cmd.CommandPath(), strings.Join(names, " and "))
}
