// Conformance holds docs/conformance.md true: it reads what ../shared/tools/conform
// measured, fails where a floor is missed, and fails (or, with -update,
// rewrites) where the table in the document says something else. CI runs it;
// it measures nothing itself.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
)

// floor is what a log must reach: the least share of right rows in percent, and
// how many rows may have an id that leads to no conn row with the same ends.
// Zeek has such rows itself: a connection that turns round after a weird (1),
// and tunnels of addresses, which have no conn row.
type floor struct {
	rows   float64
	badIDs int
}

// least is the floor of a log that is not named below, and of all logs together
// in traces that are wholly right.
const (
	leastRows   = 90
	leastTraces = 85
)

func floors() map[string]floor {
	return map[string]floor{
		"conn": {rows: 95}, "dns": {rows: 95}, "http": {rows: 95}, "files": {rows: 95}, "ssl": {rows: 95}, "x509": {rows: 95},
		"tunnel": {rows: leastRows, badIDs: 18}, "weird": {rows: leastRows, badIDs: 1},
	}
}

type score struct {
	Logs map[string]struct {
		Zeek, Ours, Right    int
		Rows, Fields, Traces float64
		BadIDs               int `json:"bad_ids"`
	}
	Rows, Fields, Wholly float64 // of all logs
	Traces, Failed       int
}

const begin, end = "<!-- table: made by internal/conformance -update -->\n", "<!-- end of table -->\n"

func main() {
	doc := flag.String("table", "docs/conformance.md", "document whose table is compared")
	update := flag.Bool("update", false, "rewrite the table")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: conformance [-update] [-table FILE] SCORE.json")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *doc, *update); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(file, doc string, update bool) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var s score
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("parse %s: %w", file, err)
	}
	text, err := os.ReadFile(doc)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no table marks", doc)
	}
	if t := table(s); t != old {
		if !update {
			return fmt.Errorf("the table in %s is not what was measured; run with -update and look at the difference:\n%s", doc, t)
		}
		if err := os.WriteFile(doc, []byte(before+begin+t+end+after), 0o644); err != nil {
			return err
		}
	}
	return check(s)
}

func table(s score) string {
	var b strings.Builder
	b.WriteString("| log | Zeek's rows | our rows | right | rows % | fields % | traces wholly right % |\n|---|--:|--:|--:|--:|--:|--:|\n")
	var names []string
	for n := range s.Logs {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		l := s.Logs[n]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %.1f | %.1f | %.1f |\n", n, l.Zeek, l.Ours, l.Right, l.Rows, l.Fields, l.Traces)
	}
	fmt.Fprintf(&b, "| all | | | | %.1f | %.1f | %.1f |\n", s.Rows, s.Fields, s.Wholly)
	fmt.Fprintf(&b, "\n%d traces, %d failed.\n", s.Traces, s.Failed)
	return b.String()
}

func check(s score) error {
	var bad []string
	if s.Failed > 0 {
		bad = append(bad, fmt.Sprintf("%d traces failed", s.Failed))
	}
	for n, l := range s.Logs {
		f, ok := floors()[n]
		if !ok {
			f.rows = leastRows
		}
		switch {
		case l.Rows < f.rows:
			bad = append(bad, fmt.Sprintf("%s: rows %.1f %% below the floor of %.0f %%", n, l.Rows, f.rows))
		case l.BadIDs > f.badIDs:
			bad = append(bad, fmt.Sprintf("%s: %d ids that lead to no connection", n, l.BadIDs))
		}
	}
	for n := range floors() {
		if _, ok := s.Logs[n]; !ok {
			bad = append(bad, n+": not scored")
		}
	}
	if t := s.Wholly; t < leastTraces {
		bad = append(bad, fmt.Sprintf("all: %.1f %% of the traces wholly right, below the floor of %d %%", t, leastTraces))
	}
	if len(bad) > 0 {
		sort.Strings(bad)
		return fmt.Errorf("below the floor:\n  %s", strings.Join(bad, "\n  "))
	}
	return nil
}
