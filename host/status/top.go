package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Top is what picket top shows of the nodes: in which order, from which row on.
// It is plain data; Key and Render change and show it without a terminal.
type Top struct {
	Sort    byte // key of the column; 0: in the order of starting
	Reverse bool
	Colour  bool // or none at all
	First   int  // row that the list begins with
	Help    bool

	page int // rows that were shown last
	rows int
}

// column is one of the list.
type column struct {
	title string
	key   byte // sorts by it; 0: none does
	left  bool // text
	show  func(r *topRow) string
	value func(r *topRow) float64 // to sort by, largest first; nil: by what is shown
}

// topRow is one node.
type topRow struct {
	Node
	Rates
	known bool // there are rates
	place int
}

func number(f func(r *topRow) float64, has func(r *topRow) bool) func(r *topRow) string {
	return func(r *topRow) string {
		if !has(r) {
			return ""
		}
		return short(f(r))
	}
}

// columns are all, in the order of the screen: on a narrow one the last give way.
func columns() []column {
	worker := func(r *topRow) bool { return r.Role == "worker" }
	rated := func(r *topRow) bool { return r.known && worker(r) }
	writes := func(r *topRow) bool { return r.Role != "hub" }
	packets := func(r *topRow) float64 { return r.Packets }
	drops := func(r *topRow) float64 { return r.Rates.Dropped }
	records := func(r *topRow) float64 { return r.Records }
	load := func(r *topRow) float64 { return r.Load }
	queue := func(r *topRow) float64 { return float64(r.Queue) }
	mem := func(r *topRow) float64 { return float64(memory(r.Node)) }
	cpu := func(r *topRow) float64 { return r.CPU }
	restarts := func(r *topRow) float64 { return float64(r.Restarts) }
	live := func(f func(r *topRow) string) func(r *topRow) string {
		return func(r *topRow) string {
			if r.PID == 0 {
				return "-"
			}
			return f(r)
		}
	}
	sum := func(f func(r *topRow) uint64, has func(r *topRow) bool) (func(r *topRow) string, func(r *topRow) float64) {
		v := func(r *topRow) float64 { return float64(f(r)) }
		return number(v, has), v
	}
	got, gotV := sum(func(r *topRow) uint64 { return r.Received }, worker)
	lost, lostV := sum(func(r *topRow) uint64 { return r.Node.Dropped }, worker)
	made, madeV := sum(func(r *topRow) uint64 {
		if r.Role == "logger" {
			return r.Written
		}
		return r.Produced
	}, writes)
	return []column{
		{"NODE", 'n', true, func(r *topRow) string { return r.Name }, nil},
		{"STATE", 's', true, func(r *topRow) string { return r.State }, nil},
		{"PKT/S", 'p', false, number(packets, rated), packets},
		{"DROP/S", 'd', false, number(drops, rated), drops},
		{"REC/S", 'r', false, number(records, func(r *topRow) bool { return r.known && writes(r) }), records},
		{"QUEUE", 'u', false, number(queue, writes), queue},
		{"MEM", 'm', false, func(r *topRow) string { return megabytes(memory(r.Node)) }, mem},
		{"CPU", 'c', false, live(func(r *topRow) string { return fmt.Sprintf("%.0f%%", r.CPU) }), cpu},
		{"RST", 't', false, func(r *topRow) string { return fmt.Sprint(r.Restarts) }, restarts},
		{"LOAD", 'l', false, func(r *topRow) string {
			if r.Load == 0 {
				return ""
			}
			return fmt.Sprintf("%.1fx", r.Load)
		}, load},
		{"UP", 0, false, live(func(r *topRow) string { return duration(r.Uptime) }), nil},
		{"PID", 0, false, live(func(r *topRow) string { return fmt.Sprint(r.PID) }), nil},
		{"PACKETS", 'P', false, got, gotV},
		{"DROPPED", 'D', false, lost, lostV},
		{"RECORDS", 'R', false, made, madeV},
	}
}

// short is a number in five columns or so.
func short(v float64) string {
	switch {
	case v <= 0:
		return "0"
	case v < 1:
		return "<1"
	case v < 1e4:
		return fmt.Sprintf("%.0f", v)
	case v < 1e6:
		return fmt.Sprintf("%.1fk", v/1e3)
	case v < 1e9:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v < 1e12:
		return fmt.Sprintf("%.2fG", v/1e9)
	}
	return fmt.Sprintf("%.2gT", v/1e12)
}

// Keys that are no characters.
const (
	KeyUp = rune(0xE000) + iota
	KeyDown
	KeyLeft
	KeyRight
	KeyPageUp
	KeyPageDown
	KeyHome
	KeyEnd
)

// Key does what a key asks for. It returns false for those that end the view.
func (t *Top) Key(k rune) bool {
	switch k {
	case 'q', 'Q', 3, 4: // Ctrl-C, Ctrl-D
		return false
	case 'h', '?':
		t.Help = !t.Help
		return true
	case 27: // escape
		t.Help = false
	case KeyUp, 'k':
		t.First--
	case KeyDown, 'j':
		t.First++
	case KeyPageUp, 'b':
		t.First -= max(1, t.page)
	case KeyPageDown, ' ', 'f':
		t.First += max(1, t.page)
	case KeyHome, 'g':
		t.First = 0
	case KeyEnd, 'G':
		t.First = t.rows
	case KeyLeft, KeyRight:
		t.neighbour(k == KeyRight)
	case 'i':
		t.Reverse = !t.Reverse
	case 'o':
		t.Sort, t.Reverse = 0, false
	default:
		for _, c := range columns() {
			if c.key != 0 && rune(c.key) == k {
				t.Reverse = t.Sort == c.key && !t.Reverse // again: the other way round
				t.Sort, t.First = c.key, 0
			}
		}
	}
	t.bound()
	return true
}

// neighbour sorts by the column beside.
func (t *Top) neighbour(right bool) {
	all := slices.DeleteFunc(columns(), func(c column) bool { return c.key == 0 })
	i := slices.IndexFunc(all, func(c column) bool { return c.key == t.Sort })
	if right {
		i++
	} else {
		i--
	}
	t.Sort, t.Reverse, t.First = all[(i+len(all))%len(all)].key, false, 0
}

// bound keeps the list on the screen.
func (t *Top) bound() { t.First = max(0, min(t.First, t.rows-t.page)) }

const topHelp = `Keys
  n s p d r u m c t l   sort by node, state, packets, drops, records per second,
                        queue, memory, CPU, restarts, load; again: the other way
  P D R                 sort by packets, drops, records since the start
  left right            sort by the column beside       i  the other way round
  o                     the order of starting
  up down j k           one row     space b PgDn PgUp   one page     g G   ends
  h ?                   this text                       q  quit

LOAD is a worker's packets as a multiple of the mean of the workers beside it.
QUEUE is batches that wait, for a logger or to be written. RST is restarts.`

// Render paints a look on a screen of w columns and h lines. earlier is the look
// before, for rates; nil: there are none yet. trouble is why there is no newer
// look; empty: it is new.
func (t *Top) Render(s, earlier *Status, trouble string, w, h int) []byte {
	rates, all := RatesOf(s, earlier)
	lines := header(s)[:1]
	lines = append(lines, t.summary(s, all, earlier != nil))
	if n := uneven(s, rates); n != "" {
		lines = append(lines, fmt.Sprintf("! uneven: %s has %.1f times the packets of the mean", n, rates[n].Load))
	}
	for i, p := range s.Problems {
		if i == 2 {
			lines = append(lines, fmt.Sprintf("! and %d more: picket status has them all", len(s.Problems)-i))
			break
		}
		lines = append(lines, "! "+p)
	}
	if trouble != "" {
		lines = append(lines, fmt.Sprintf("! as of %s: %s", s.Time.Local().Format("15:04:05"), trouble))
	}
	for i := range lines {
		if lines[i] = clip(Printable(lines[i]), w); lines[i] != "" && lines[i][0] == '!' {
			lines[i] = t.paint(red, lines[i])
		}
	}
	hint := "q quit  h help  sort: n s p d r u m c t l"
	if t.Help {
		lines = append(lines, "")
		for l := range strings.SplitSeq(topHelp, "\n") {
			lines = append(lines, clip(l, w))
		}
	} else {
		rows := t.order(s, rates)
		t.rows, t.page = len(rows), max(0, h-len(lines)-2)
		t.bound()
		lines = append(lines, t.list(rows, w)...)
		if t.rows > t.page {
			hint = fmt.Sprintf("%d-%d of %d  ", min(t.First+1, t.rows), min(t.First+t.page, t.rows), t.rows) + hint
		}
	}
	return screen(lines, clip(hint, w), h)
}

// screen is lines on h lines of screen, each cleared to its end, with a last one.
func screen(lines []string, last string, h int) []byte {
	lines = lines[:max(0, min(len(lines), h-1))]
	for len(lines) < h-1 {
		lines = append(lines, "")
	}
	if h > 0 {
		lines = append(lines, last)
	}
	var b strings.Builder
	for i, l := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(l)
		b.WriteString("\x1b[K") // what an earlier picture left in this line
	}
	return []byte(b.String())
}

func (t *Top) summary(s *Status, all Rates, known bool) string {
	if !known {
		return "looking for rates ..."
	}
	text := fmt.Sprintf("%s packets/s  %s drops/s", short(all.Packets), short(all.Dropped))
	if all.Dropped > 0 {
		text += fmt.Sprintf(" (%.1f%%)", 100*all.Dropped/(all.Packets+all.Dropped))
	}
	text += fmt.Sprintf("  %s records/s  queue %d  restarts %d", short(all.Records), s.Totals.Queue, s.Totals.Restarts)
	return text
}

// order is the nodes as they are listed.
func (t *Top) order(s *Status, rates map[string]Rates) []topRow {
	rows := make([]topRow, len(s.Nodes))
	for i, n := range s.Nodes {
		r, ok := rates[n.Name]
		rows[i] = topRow{n, r, ok, i}
	}
	by := slices.IndexFunc(columns(), func(c column) bool { return c.key == t.Sort && c.key != 0 })
	if by < 0 {
		return rows
	}
	c := columns()[by]
	slices.SortStableFunc(rows, func(a, b topRow) int {
		var d int
		if c.value != nil {
			d = cmp.Compare(c.value(&b), c.value(&a))
		} else if c.key == 'n' {
			d = cmp.Compare(a.place, b.place) // as started: worker-2 before worker-10
		} else {
			d = cmp.Compare(c.show(&a), c.show(&b))
		}
		if t.Reverse {
			d = -d
		}
		return d
	})
	return rows
}

// list is the rows of the nodes that fit, below a row of titles, with the columns
// that fit into w.
func (t *Top) list(rows []topRow, w int) []string {
	cols := columns()
	cells := make([][]string, len(cols))
	width := make([]int, len(cols))
	for i, c := range cols {
		title := c.title
		if c.key != 0 && c.key == t.Sort {
			title += map[bool]string{false: "*", true: "^"}[t.Reverse]
		}
		cells[i] = append(cells[i], title)
		for k := range rows { // of all rows, so that columns stay where they are while one scrolls
			cells[i] = append(cells[i], Printable(c.show(&rows[k])))
		}
		for _, x := range cells[i] {
			width[i] = max(width[i], utf8.RuneCountInString(x))
		}
	}
	sum := -2
	for _, n := range width {
		sum += n + 2
	}
	hidden := map[int]bool{}
	for i := len(cols) - 1; i > 0 && sum > w; i-- { // those that matter least stand last
		if cols[i].key != t.Sort || t.Sort == 0 {
			hidden[i] = true
			sum -= width[i] + 2
		}
	}
	line := func(k int) string {
		var b strings.Builder
		for i, c := range cols {
			if hidden[i] {
				continue
			}
			if i > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cells[i][k]))
			if c.left {
				b.WriteString(cells[i][k] + pad)
			} else {
				b.WriteString(pad + cells[i][k])
			}
		}
		return clip(b.String(), w)
	}
	out := []string{t.paint(bold, line(0))}
	for k := t.First; k < min(t.First+t.page, len(rows)); k++ {
		out = append(out, t.paint(mood(&rows[k]), line(k+1)))
	}
	return out
}

// Colours, as a terminal takes them.
const (
	plain  = ""
	bold   = "1"
	red    = "31"
	yellow = "33"
	grey   = "90"
)

// mood is the colour of a node.
func mood(r *topRow) string {
	switch {
	case r.State == "ready" && r.Rates.Dropped == 0 && r.Load < Uneven*0.9:
		return plain
	case r.State == "ready", r.State == "starting", r.State == "waiting", r.State == "draining", r.State == "stopping":
		return yellow
	case r.State == "done", r.State == "stopped":
		return grey
	}
	return red
}

func (t *Top) paint(colour, text string) string {
	if !t.Colour || colour == plain {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
