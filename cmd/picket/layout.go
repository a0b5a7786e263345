package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/zeek/layout"
)

// layoutCommand prints cluster-layout.zeek. It has the flags, messages and exit
// codes of zeek-cluster-layout-generator, so it parses its flags itself.
func layoutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                "layout [-W N] [-L N] [-P N] [--format zeek|json]",
		Short:              "Print a cluster-layout.zeek",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLayout(cmd.OutOrStdout(), cmd.ErrOrStderr(), args)
		},
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		fmt.Fprint(cmd.OutOrStdout(), layout.Usage("picket layout"))
	})
	return cmd
}

func runLayout(out, errOut io.Writer, args []string) error {
	o, err := layout.ParseFlags(args)
	if err == nil && o.Help {
		fmt.Fprint(out, layout.Usage("picket layout"))
		return nil
	}
	var l *layout.Layout
	if err == nil {
		l, err = layout.Generate(o)
	}
	var fe *layout.FlagError
	if errors.As(err, &fe) {
		// As the generator writes it, for scripts that look.
		fmt.Fprintln(errOut, fe.Message)
		return silent(fe.Code)
	}
	if err != nil {
		return fmt.Errorf("layout: %w", err)
	}
	text, err := l.Render(o.Format)
	if err != nil {
		return fmt.Errorf("layout: %w", err)
	}
	if o.Out == "-" {
		_, err = out.Write(text)
	} else {
		err = replaceFile(o.Out, text)
	}
	if err != nil {
		return fmt.Errorf("layout: %w", err) // which names the file
	}
	return nil
}

// replaceFile writes a file so that a node that reads it meanwhile sees the old
// one or the new one.
func replaceFile(path string, text []byte) error {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return os.WriteFile(path, text, 0o644) // a pipe or a terminal
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
