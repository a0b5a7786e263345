package main

import (
	"errors"
	"fmt"
	"strings"
)

// Exit codes, the same for all commands.
const (
	exitOK      = 0
	exitFailure = 1 // it did not work
	exitUsage   = 2 // the command line is wrong
	exitConfig  = 3 // the configuration is wrong
	exitPartial = 4 // it worked, but something was lost or is not as it should be
)

// codeError is an error that decides the exit code. A nil err exits silently:
// the command has said what there is to say.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

func withCode(code int, err error) error { return &codeError{code, err} }

func usagef(format string, args ...any) error {
	return withCode(exitUsage, fmt.Errorf(format, args...))
}

// silent exits with code and says nothing more.
func silent(code int) error { return &codeError{code: code} }

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	var c *codeError
	if errors.As(err, &c) {
		return c.code
	}
	// Cobra's own errors carry no type; these are the ones about the command line.
	for _, p := range []string{"unknown command", "unknown flag", "unknown shorthand", "accepts ", "requires at least", "invalid argument", "flag needs an argument"} {
		if strings.HasPrefix(err.Error(), p) {
			return exitUsage
		}
	}
	return exitFailure
}

func message(err error) string {
	if err == nil {
		return ""
	}
	var c *codeError
	if errors.As(err, &c) && c.err == nil {
		return ""
	}
	msg := strings.TrimRight(err.Error(), "\n")
	if exitCode(err) == exitUsage && !strings.Contains(msg, "--help") {
		msg += "\n(picket --help lists the commands, picket COMMAND --help its flags)"
	}
	return msg
}
