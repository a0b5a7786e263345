package ledger

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
)

// Report says where every packet and record went. Settle makes it.
type Report struct {
	Packets []Line  `json:"packets"` // a line for each life of a node that reads packets
	Records []Line  `json:"records"` // a line for each life and path
	Foreign []Tally `json:"foreign,omitempty"`
	// Connections that workers had open when they died: what was known of them is
	// lost, though no record had been made of it. The number is as of the last
	// block of packets. Records made later of those that went on begin in the middle.
	Connections []Lost `json:"connections,omitempty"`
	// What workers gave up to stay within their memory, by name (flow.Stats): rows
	// are there, but say less than they could.
	Shed map[string]uint64 `json:"shed,omitempty"`

	PacketTotal Line `json:"packet_total"`
	RecordTotal Line `json:"record_total"`
	Settled     bool `json:"settled"` // nothing is open and no remainder is left
}

// Line is one sum: Produced = Written + Handed + Dropped + Lost + Open +
// Remainder. For packets, produced means read and written means analyzed.
type Line struct {
	Node      string            `json:"node,omitempty"`
	Start     uint64            `json:"start,omitempty"`
	Path      string            `json:"path,omitempty"`
	Produced  uint64            `json:"produced"`
	Written   uint64            `json:"written"`
	Handed    uint64            `json:"handed,omitempty"`  // to real Zeek loggers, which do not confirm
	Dropped   map[string]uint64 `json:"dropped,omitempty"` // by stage.reason, packets by reason
	Lost      []Lost            `json:"lost,omitempty"`
	Open      int64             `json:"open"`      // on its way, in processes that live
	Remainder int64             `json:"remainder"` // nobody knows: a mistake of ours
}

// Lost names the process with whose death something was lost.
type Lost struct {
	Node  string `json:"node"`
	Start uint64 `json:"start"`
	Why   string `json:"why"`
	Count uint64 `json:"count"`
}

func (l *Line) lost() (n uint64) {
	for _, x := range l.Lost {
		n += x.Count
	}
	return n
}

func (l *Line) add(o *Line) {
	l.Produced += o.Produced
	l.Written += o.Written
	l.Handed += o.Handed
	l.Open += o.Open
	// Remainders of different signs must not hide each other.
	if o.Remainder < 0 {
		l.Remainder -= o.Remainder
	} else {
		l.Remainder += o.Remainder
	}
	if l.Dropped == nil {
		l.Dropped = map[string]uint64{}
	}
	for why, n := range o.Dropped {
		l.Dropped[why] += n
	}
	for _, x := range o.Lost {
		i := slices.IndexFunc(l.Lost, func(y Lost) bool { return y.Node == x.Node && y.Start == x.Start && y.Why == x.Why })
		if i < 0 {
			l.Lost = append(l.Lost, x)
		} else {
			l.Lost[i].Count += x.Count
		}
	}
}

func (r *Report) finish() {
	byName := func(ls []Line) func(i, j int) bool {
		return func(i, j int) bool {
			if ls[i].Path != ls[j].Path {
				return ls[i].Path < ls[j].Path
			}
			if ls[i].Node != ls[j].Node {
				return ls[i].Node < ls[j].Node
			}
			return ls[i].Start < ls[j].Start
		}
	}
	sort.SliceStable(r.Packets, byName(r.Packets))
	sort.SliceStable(r.Records, byName(r.Records))
	for i := range r.Packets {
		r.PacketTotal.add(&r.Packets[i])
	}
	for i := range r.Records {
		r.RecordTotal.add(&r.Records[i])
	}
	r.Settled = r.Remainder() == 0
	for _, l := range append(slices.Clone(r.Packets), r.Records...) {
		if l.Open != 0 {
			r.Settled = false
		}
	}
}

// Remainder returns how many packets and records nobody can explain.
func (r *Report) Remainder() int64 { return r.PacketTotal.Remainder + r.RecordTotal.Remainder }

// Paths returns a line per log path, over all nodes.
func (r *Report) Paths() []Line {
	by := map[string]*Line{}
	for i := range r.Records {
		l := &r.Records[i]
		if by[l.Path] == nil {
			by[l.Path] = &Line{Path: l.Path}
		}
		by[l.Path].add(l)
	}
	var out []Line
	for _, p := range slices.Sorted(maps.Keys(by)) {
		out = append(out, *by[p])
	}
	return out
}

// Text writes the report for people: a line for the packets, one for each
// path, one for each thing dropped, lost or unexplained.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.Packets) > 0 {
		p := &r.PacketTotal
		fmt.Fprintf(t, "packets\tread\tanalyzed\tdropped\tlost\t%s\n", openHead(p))
		fmt.Fprintf(t, "all\t%d\t%d\t%d\t%d\t%s\n\n", p.Produced, p.Written, sum(p.Dropped), p.lost(), openText(p))
	}
	if len(r.Records) > 0 {
		fmt.Fprintf(t, "records\tproduced\twritten\tdropped\tlost\t%s\n", openHead(&r.RecordTotal))
		lines := r.Paths()
		for i := range lines {
			if lines[i].Produced == 0 && lines[i].Remainder == 0 {
				continue // A log that had nothing to say.
			}
			writeLine(t, lines[i].Path, &lines[i])
		}
		writeLine(t, "all", &r.RecordTotal)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	reasons(&b, "packets", &r.PacketTotal)
	for _, x := range r.Connections {
		fmt.Fprintf(&b, "lost: about %d connections of %s, %s; of those that went on, the rows begin later\n", x.Count, x.Node, x.Why)
	}
	for _, what := range slices.Sorted(maps.Keys(r.Shed)) {
		fmt.Fprintf(&b, "shed: %d %s, to stay within the memory\n", r.Shed[what], what)
	}
	reasons(&b, "records", &r.RecordTotal)
	for _, f := range r.Foreign {
		fmt.Fprintf(&b, "also written: %d records of %s from %s, whose books are not here\n", f.Records, f.Path, f.Producer)
	}
	for _, l := range append(slices.Clone(r.Packets), r.Records...) {
		if l.Remainder != 0 {
			fmt.Fprintf(&b, "REMAINDER %d %s of %s (life %d): nobody knows where they went; this is a mistake of picket\n", l.Remainder, what(&l), l.Node, l.Start)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func what(l *Line) string {
	if l.Path == "" {
		return "packets"
	}
	return l.Path + " records"
}

func openHead(l *Line) string {
	if l.Open != 0 {
		return "open\t"
	}
	return ""
}

func openText(l *Line) string {
	if l.Open != 0 {
		return fmt.Sprintf("%d\t", l.Open)
	}
	return ""
}

func times(lives int) string {
	if lives == 1 {
		return ""
	}
	return fmt.Sprintf(" (%d times)", lives)
}

func writeLine(w io.Writer, name string, l *Line) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\n", name, l.Produced, l.Written, sum(l.Dropped), l.lost(), openText(l))
}

func reasons(b *strings.Builder, unit string, l *Line) {
	for _, why := range slices.Sorted(maps.Keys(l.Dropped)) {
		fmt.Fprintf(b, "dropped: %d %s, %s\n", l.Dropped[why], unit, strings.ReplaceAll(why, ".", ": "))
	}
	if l.Handed > 0 {
		fmt.Fprintf(b, "handed: %d %s to real Zeek loggers, which do not say what they wrote\n", l.Handed, unit)
	}
	for i, x := range l.Lost {
		// Several lives of a node are one line here; JSON has them apart.
		same := func(y Lost) bool { return y.Node == x.Node && y.Why == x.Why }
		if slices.IndexFunc(l.Lost, same) < i {
			continue
		}
		n, lives := uint64(0), 0
		for _, y := range l.Lost {
			if same(y) {
				n += y.Count
				lives++
			}
		}
		fmt.Fprintf(b, "lost: %d %s of %s, %s%s\n", n, unit, x.Node, x.Why, times(lives))
	}
}

// Complete reports whether everything that was read was analyzed, but for what
// the user's filter left out, and every record written, or handed to a logger
// that does not confirm: nothing dropped, lost, on its way, or unexplained.
func (r *Report) Complete() bool {
	whole := func(l *Line) bool {
		wanted := l.Dropped[ReasonFilter]
		return l.Produced == l.Written+l.Handed+wanted && l.lost() == 0 && sum(l.Dropped) == wanted
	}
	return r.Settled && len(r.Connections) == 0 && whole(&r.PacketTotal) && whole(&r.RecordTotal)
}
