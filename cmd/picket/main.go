// Command picket is a Zeek cluster in one binary: the nodes, the bus between
// them, the supervisor that keeps them alive, and the commands to see and steer
// all that.
//
// It holds flags and wiring, one small file per command. It owns nothing that
// runs longer than a command, and decides nothing that a package below could.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run carries out one command line and returns the exit code. A bug does not
// throw a stack trace at the user: the trace goes to a file, one line says so.
func run(args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintln(os.Stderr, bugReport(r, debug.Stack()))
			code = exitFailure
		}
	}()
	root := newRoot(os.Stdout, os.Stderr)
	root.SetArgs(args)
	err := root.Execute()
	if msg := message(err); msg != "" {
		fmt.Fprintln(os.Stderr, "picket: "+msg)
	}
	return exitCode(err)
}

// bugReport writes the trace of a panic to a file and returns the line for the user.
func bugReport(cause any, stack []byte) string {
	line := fmt.Sprintf("picket: this is a bug in picket: %v", cause)
	f, err := os.CreateTemp("", "picket-crash-*.txt")
	if err != nil {
		return line + "; no dump: " + err.Error()
	}
	fmt.Fprintf(f, "%v\n%s\n%s\n%s\nargs: %q\n", cause, time.Now().Format(time.RFC3339), versionLine(), stack, os.Args)
	if err := f.Close(); err != nil {
		return line + "; no dump: " + err.Error()
	}
	return line + "; please report it with the dump in " + f.Name()
}
