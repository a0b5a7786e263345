package status

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
)

// Table writes the status for people: a line for the cluster, one per node,
// the totals, and what is wrong.
func Table(w io.Writer, s *Status) error {
	var b strings.Builder
	for _, l := range append(header(s), table(s)...) {
		b.WriteString(strings.TrimRight(l, " ") + "\n")
	}
	if a := accounting(s); a != "" {
		b.WriteString("\n" + a + "\n")
	}
	for _, d := range s.Doors {
		b.WriteString(Printable(d.String()) + "\n")
	}
	for _, l := range s.Links {
		b.WriteString(Printable(l.String()) + "\n")
	}
	for _, p := range slices.Concat(s.Problems, s.unwritten()) {
		b.WriteString("! " + p + "\n")
	}
	for _, n := range s.Nodes {
		if n.Restarts > 0 && n.LastExit != "" && n.LastExit != RestartAsked {
			fmt.Fprintf(&b, "! %s has restarted %s, last: %s\n", n.Name, times(n.Restarts), n.LastExit)
			for _, l := range n.Stderr {
				b.WriteString("    " + Printable(l) + "\n")
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// unwritten names loggers whose writes have failed while records wait, as on a
// full disk. What has been written since is no trouble any more.
func (s *Status) unwritten() []string {
	var out []string
	if s.Accounting == nil || s.Accounting.RecordTotal.Open <= 0 {
		return nil
	}
	for _, n := range s.Nodes {
		if e := n.Life[ledger.WriteErrors]; e > 0 && n.PID != 0 {
			out = append(out, fmt.Sprintf("%s: writing has failed %s, and records wait; picket logs %s says why", n.Name, times(int(e)), n.Name))
		}
	}
	return out
}

// Render paints the status on a screen of w columns and h lines: a pure
// function, so that a test can look at the picture. hint is the last line.
func Render(s *Status, w, h int, hint string) []byte {
	var lines []string
	lines = append(lines, header(s)...)
	lines = append(lines, table(s)...)
	if a := accounting(s); a != "" {
		lines = append(lines, "", a)
	}
	for _, d := range s.Doors {
		lines = append(lines, d.String())
	}
	for _, l := range s.Links {
		lines = append(lines, l.String())
	}
	for _, p := range slices.Concat(s.Problems, s.unwritten()) {
		lines = append(lines, "! "+p)
	}
	// Events fill what is left, the newest last.
	room := h - len(lines) - 2
	if room > 1 && len(s.Events) > 0 {
		lines = append(lines, "")
		ev := s.Events[max(0, len(s.Events)-(room-1)):]
		for _, e := range ev {
			lines = append(lines, EventLine(e))
		}
	}
	for i := range lines {
		lines[i] = clip(Printable(lines[i]), w)
	}
	return screen(lines, clip(Printable(hint), w), h)
}

// EventLine is an event for people.
func EventLine(e supervisor.Event) string {
	who := e.Node
	if who == "" {
		who = "cluster"
	}
	return fmt.Sprintf("%s  %s: %s", e.Time.Local().Format("15:04:05"), who, e.Text)
}

func header(s *Status) []string {
	sup := fmt.Sprintf("supervisor pid %d", s.Supervisor.PID)
	if !s.Supervisor.Alive {
		sup = "no supervisor"
	}
	kind, _, sum := memories(s)
	used := megabytes(sum)
	if kind == headRSS {
		used += " " + headRSS
	}
	return []string{
		fmt.Sprintf("%s  %s  up %s  %s  %d of %d nodes ready  %s", s.Cluster, s.Phase,
			duration(s.Time.Sub(s.Started).Seconds()), sup, s.Totals.Ready, s.Totals.Nodes, used),
		"",
	}
}

func table(s *Status) []string {
	kind, of, sum := memories(s)
	rows := [][]string{{"NODE", "ROLE", "PID", "STATE", "UP", "RESTARTS", kind, "CPU", "PACKETS", "DROPPED", "RECORDS", "WRITTEN", "QUEUE"}}
	for _, n := range s.Nodes {
		row := []string{n.Name, n.Role, "-", n.State, "-", fmt.Sprint(n.Restarts), "-", "-", "", "", "", "", ""}
		if n.PID != 0 {
			row[2], row[4] = fmt.Sprint(n.PID), duration(n.Uptime)
			row[6], row[7] = megabytes(of(n)), fmt.Sprintf("%.0f%%", n.CPU)
		}
		if n.Role == "worker" {
			row[8], row[9] = fmt.Sprint(n.Received), fmt.Sprint(n.Dropped)
		}
		if n.Role != "hub" || n.Produced > 0 { // rows that real Zeek workers gave to the hub
			row[10], row[12] = fmt.Sprint(n.Produced), fmt.Sprint(n.Queue)
		}
		if n.Role == "logger" {
			row[11] = fmt.Sprint(n.Written)
		}
		rows = append(rows, row)
	}
	t := s.Totals
	rows = append(rows, []string{"all", "", "", "", "", fmt.Sprint(t.Restarts), megabytes(sum), "",
		fmt.Sprint(t.Received), fmt.Sprint(t.Dropped), fmt.Sprint(t.Produced), fmt.Sprint(t.Written), fmt.Sprint(t.Queue)})
	return align(rows)
}

// align pads columns; the ones with text to the left, numbers to the right.
func align(rows [][]string) []string {
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var out []string
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if i > 0 {
				b.WriteString("  ")
			}
			if i == 2 || i >= 4 {
				b.WriteString(pad + c)
			} else {
				b.WriteString(c + pad)
			}
		}
		out = append(out, b.String())
	}
	return out
}

// accounting is one line: where packets and records went.
func accounting(s *Status) string {
	if s.Accounting == nil {
		return ""
	}
	p, r := s.Accounting.PacketTotal, s.Accounting.RecordTotal
	if p.Produced == 0 && r.Produced == 0 {
		return ""
	}
	text := fmt.Sprintf("packets %d = %d analyzed%s   records %d = %d written%s",
		p.Produced, p.Written, rest(p), r.Produced, r.Written, rest(r))
	if s.Accounting.Settled {
		text += "   settled"
	}
	return text
}

func rest(l ledger.Line) string {
	var dropped, lost uint64
	for _, n := range l.Dropped {
		dropped += n
	}
	for _, x := range l.Lost {
		lost += x.Count
	}
	out := ""
	for _, part := range []struct {
		n    int64
		what string
	}{{int64(l.Handed), "handed to Zeek"}, {int64(dropped), "dropped"}, {int64(lost), "lost"}, {l.Open, "on the way"}, {l.Remainder, "unexplained"}} {
		if part.n != 0 {
			out += fmt.Sprintf(" + %d %s", part.n, part.what)
		}
	}
	return out
}

// Heads of the column of memory: PSS, or RSS where PSS may not be read.
const (
	headPSS = "MEM"
	headRSS = "RSS"
)

// memories says what the column of memory holds: one thing for all nodes, so that
// its sum means something. The PSS of another user's process may not be read.
func memories(s *Status) (head string, of func(Node) int64, sum int64) {
	if !slices.ContainsFunc(s.Nodes, func(n Node) bool { return n.PSS == 0 && n.RSS > 0 }) {
		return headPSS, func(n Node) int64 { return n.PSS }, s.Totals.PSS
	}
	for _, n := range s.Nodes {
		sum += n.RSS
	}
	return headRSS, func(n Node) int64 { return n.RSS }, sum
}

// Memory says what there is to tell of all nodes' memory, in bytes: their PSS, or
// with rss their RSS, as one PSS may not be read.
func (s *Status) Memory() (rss bool, of func(Node) int64, sum int64) {
	kind, of, sum := memories(s)
	return kind == headRSS, of, sum
}

func memory(n Node) int64 {
	if n.PSS > 0 {
		return n.PSS
	}
	return n.RSS
}

func megabytes(n int64) string {
	switch {
	case n == 0:
		return "-"
	case n < 10<<30:
		return fmt.Sprintf("%dM", (n+1<<19)>>20)
	default:
		return fmt.Sprintf("%dG", n>>30)
	}
}

func duration(sec float64) string {
	d := time.Duration(sec * float64(time.Second)).Truncate(time.Second)
	switch {
	case d < 0:
		return "0s"
	case d < time.Hour:
		return strings.TrimSuffix(d.String(), "m0s") + map[bool]string{true: "m"}[strings.HasSuffix(d.String(), "m0s")]
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// Printable keeps control characters, which a node may have printed, off the terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func clip(s string, w int) string {
	if utf8.RuneCountInString(s) <= w {
		return s
	}
	r := []rune(s)
	return string(r[:max(0, w)])
}
