package layout

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// FlagError is a message for the user and the exit code that goes with it,
// both as Zeek's generator has them.
type FlagError struct {
	Message string
	Code    int
}

func (e *FlagError) Error() string { return e.Message }

// ParseFlags reads the flags of zeek-cluster-layout-generator, as getopt does:
// values may follow at once (-W2), -- ends the flags. Beyond those it knows
// --format zeek|json and --help. Unlike the generator it refuses what makes no
// layout that Zeek reads: other arguments, ports above 65535, and an address that
// is none. The error is a *FlagError.
func ParseFlags(args []string) (Options, error) {
	o := Default()
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			if i+1 < len(args) {
				return o, extraWord(args[i+1])
			}
			break
		}
		if name, ok := strings.CutPrefix(arg, "--"); ok {
			var err error
			if i, err = o.long(name, args, i); err != nil {
				return o, err
			}
			continue
		}
		if len(arg) < 2 || arg[0] != '-' {
			return o, extraWord(arg)
		}
		for rest := arg[1:]; rest != ""; {
			flag := rest[0]
			rest = rest[1:]
			if flag == 'h' {
				o.Help = true
				return o, nil
			}
			if strings.IndexByte("CLPWMapmbox", flag) < 0 {
				return o, &FlagError{fmt.Sprintf("unrecognized flag %c", flag), 1}
			}
			val := rest
			if rest == "" {
				if i++; i == len(args) {
					return o, &FlagError{fmt.Sprintf("unrecognized flag %c", flag), 1}
				}
				val = args[i]
			}
			if err := o.set(flag, val); err != nil {
				return o, err
			}
			break
		}
	}
	return o, nil
}

func extraWord(arg string) error {
	return &FlagError{fmt.Sprintf("unexpected argument %q: all values follow flags", arg), 1}
}

// long reads a flag that the generator does not have; it returns where it ended.
func (o *Options) long(name string, args []string, i int) (int, error) {
	name, val, has := strings.Cut(name, "=")
	if name == "help" {
		o.Help = true
		return i, nil
	}
	if name != "format" {
		return i, &FlagError{"unrecognized flag --" + name, 1}
	}
	if !has {
		if i++; i == len(args) {
			return i, &FlagError{"--format expects zeek or json", 1}
		}
		val = args[i]
	}
	if val != "zeek" && val != "json" {
		return i, &FlagError{"--format expects zeek or json", 1}
	}
	o.Format = val
	return i, nil
}

func (o *Options) set(flag byte, val string) (err error) {
	switch flag {
	case 'C':
		return &FlagError{"-C: zeek.conf files are not read yet; use -M, -L, -P and -W", 1}
	case 'L':
		o.Loggers, err = number(flag, val)
	case 'P':
		o.Proxies, err = number(flag, val)
	case 'W':
		o.Workers = val // Generate reads it: the generator complains about flags first
	case 'M':
		var n int
		if n, err = number(flag, val); err == nil && n > 1 {
			return &FlagError{"flag -M expects 0 or 1", 1}
		}
		o.Manager = n == 1
	case 'a':
		if a, e := netip.ParseAddr(unbracket(val)); e != nil || a.Zone() != "" {
			return &FlagError{fmt.Sprintf("-a expects an address, as 10.0.0.1 or [2001:db8::1]: %q", val), 1}
		}
		o.Addr = val
	case 'p':
		o.Port, err = port(flag, val, 1)
	case 'm':
		o.MetricsPort, err = port(flag, val, 0)
	case 'b': // the metrics address: the generator takes and ignores it
	case 'o':
		o.Out = val
	case 'x':
		o.Prefix = val
	}
	return err
}

// unbracket takes the brackets off an IPv6 address.
func unbracket(s string) string {
	if in, ok := strings.CutPrefix(s, "["); ok && strings.Contains(in, ":") {
		if in, ok := strings.CutSuffix(in, "]"); ok {
			return in
		}
	}
	return s
}

func port(flag byte, s string, least int) (int, error) {
	n, err := number(flag, s)
	if err == nil && (n < least || n > maxPort) {
		err = &FlagError{fmt.Sprintf("-%c expects a port, %d to %d: %s", flag, least, maxPort, s), 1}
	}
	return n, err
}

// number reads digits up to the largest C int.
func number(flag byte, s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 || s[0] == '+' {
		return 0, &FlagError{fmt.Sprintf("invalid numeric value for %c: %s", flag, s), 1}
	}
	return int(n), nil
}

// Usage returns the help text, for the command's own name.
func Usage(prog string) string {
	return "Usage: " + prog + ` [flags]

Writes cluster-layout.zeek for a cluster on one host.

  -M 0|1       manager or not (1)
  -L N         loggers (1)
  -P N         proxies (1)
  -W N         workers (1), or NAME:N,NAME:N for workers named by interface
  -a ADDR      address of all nodes (127.0.0.1); IPv6 in brackets
  -p PORT      port of the first node that listens (27760)
  -m PORT      metrics port of the first node (9991); 0 for none
  -b ADDR      taken and ignored, as by Zeek's generator
  -x PREFIX    before all names but manager, with a dash
  -o FILE      write there; - is standard output
  --format F   zeek (default) or json
  -h, --help   this text

Exit codes, as Zeek's generator has them
  0  the layout is written
  1  a flag is wrong, or the layout cannot be written; the message says which and why
`
}

// Render returns the layout in the options' format.
func (l *Layout) Render(format string) ([]byte, error) {
	if format == "json" {
		return l.JSON()
	}
	return l.Zeek(), nil
}
