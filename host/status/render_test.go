package status

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
)

func example() *Status {
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.Local)
	return &Status{
		Time: at, Cluster: "lab", Phase: "up", Started: at.Add(-90 * time.Second), Supervisor: Supervisor{PID: 7, Alive: true},
		Nodes: []Node{
			{Name: "hub", Role: "hub", PID: 8, State: "ready", Uptime: 90, PSS: 9 << 20, CPU: 1.4},
			{Name: "logger-1", Role: "logger", PID: 9, State: "ready", Uptime: 89, PSS: 10 << 20, Written: 1200},
			{Name: "worker-1", Role: "worker", State: "backoff", Restarts: 2, LastExit: "killed by signal 9 (killed)", Received: 100000, Dropped: 5, Produced: 1234, Queue: 3, Stderr: []string{"out of\x1b[2J memory"}},
		},
		Totals: Totals{Nodes: 3, Ready: 2, Restarts: 2, PSS: 19 << 20, Received: 100000, Dropped: 5, Produced: 1234, Written: 1200, Queue: 3},
		Accounting: &ledger.Report{
			PacketTotal: ledger.Line{Produced: 100000, Written: 99995, Dropped: map[string]uint64{"kernel": 5}},
			RecordTotal: ledger.Line{Produced: 1234, Written: 1200, Open: 30, Lost: []ledger.Lost{{Node: "worker-1", Count: 4}}},
		},
		Events: []supervisor.Event{{Time: at, Node: "worker-1", Text: "killed by signal 9 (killed); starts again in 1s"}},
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := Table(&b, example()); err != nil {
		t.Fatal(err)
	}
	hasLines(t, b.String(),
		"lab  up  up 1m30s  supervisor pid 7  2 of 3 nodes ready  19M",
		"NODE      ROLE    PID  STATE       UP  RESTARTS  MEM  CPU  PACKETS  DROPPED  RECORDS  WRITTEN  QUEUE",
		"hub       hub       8  ready    1m30s         0   9M   1%",
		"logger-1  logger    9  ready    1m29s         0  10M   0%                          0     1200      0",
		"worker-1  worker    -  backoff      -         2    -    -   100000        5     1234               3",
		"all                                           2  19M        100000        5     1234     1200      3",
		"packets 100000 = 99995 analyzed + 5 dropped   records 1234 = 1200 written + 4 lost + 30 on the way",
		"! worker-1 has restarted 2 times, last: killed by signal 9 (killed)",
		"    out of?[2J memory",
	)
}

// A logger that cannot write, as on a full disk, is named while records wait for it.
func TestTableNamesWhoCannotWrite(t *testing.T) {
	const says = "! logger-1: writing has failed 7 times, and records wait; picket logs logger-1 says why"
	s := example()
	s.Nodes[1].Life = map[string]uint64{ledger.WriteErrors: 7}
	var b bytes.Buffer
	if err := Table(&b, s); err != nil {
		t.Fatal(err)
	}
	hasLines(t, b.String(), says)
	s.Accounting.RecordTotal.Open = 0 // all has been written since
	b.Reset()
	if err := Table(&b, s); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), says) {
		t.Errorf("trouble that is over:\n%s", b.String())
	}
}

// hasLines looks for whole lines in what was shown.
func hasLines(t *testing.T, shown string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(shown, line+"\n") {
			t.Errorf("no line %q in\n%s", line, shown)
		}
	}
}

// Where PSS may not be read, column, sum and header are RSS, and say so.
func TestTableWithoutPSS(t *testing.T) {
	s := example()
	s.Nodes[0].PSS, s.Nodes[0].RSS, s.Nodes[1].RSS, s.Totals.PSS = 0, 20<<20, 31<<20, 10<<20
	var b bytes.Buffer
	if err := Table(&b, s); err != nil {
		t.Fatal(err)
	}
	hasLines(t, b.String(),
		"lab  up  up 1m30s  supervisor pid 7  2 of 3 nodes ready  51M RSS",
		"NODE      ROLE    PID  STATE       UP  RESTARTS  RSS  CPU  PACKETS  DROPPED  RECORDS  WRITTEN  QUEUE",
		"hub       hub       8  ready    1m30s         0  20M   1%",
		"logger-1  logger    9  ready    1m29s         0  31M   0%                          0     1200      0",
		"all                                           2  51M        100000        5     1234     1200      3",
	)
}

// On a screen of any size the picture fits, and ends with the hint.
func TestRenderFits(t *testing.T) {
	for _, size := range [][2]int{{120, 40}, {80, 24}, {40, 10}, {20, 3}, {1, 1}, {0, 0}, {300, 100}} {
		w, h := size[0], size[1]
		picture := string(Render(example(), w, h, "hint"))
		lines := strings.Split(picture, "\r\n")
		if len(lines) > max(h, 1) {
			t.Errorf("%dx%d: %d lines", w, h, len(lines))
		}
		for _, l := range lines {
			l = strings.TrimSuffix(l, "\x1b[K")
			if utf8.RuneCountInString(l) > w || strings.ContainsRune(l, 0x1b) {
				t.Errorf("%dx%d: line %q", w, h, l)
			}
		}
		if h > 0 && w > 4 && !strings.HasPrefix(lines[len(lines)-1], "hint") {
			t.Errorf("%dx%d: last line %q", w, h, lines[len(lines)-1])
		}
	}
	if p := string(Render(example(), 120, 40, "")); !strings.Contains(p, "01:02:03  worker-1: killed by signal 9") {
		t.Errorf("no events:\n%s", p)
	}
}

func TestHanded(t *testing.T) {
	s := example()
	s.Accounting.RecordTotal = ledger.Line{Produced: 100, Written: 60, Handed: 40}
	if got := accounting(s); !strings.Contains(got, "records 100 = 60 written + 40 handed to Zeek") {
		t.Error(got)
	}
}

func TestDuration(t *testing.T) {
	for sec, want := range map[float64]string{
		0: "0s", 59.9: "59s", 60: "1m", 90: "1m30s", 3599: "59m59s", 3600: "1h00m", 86400: "24h00m", 200000: "2d07h", -1: "0s",
	} {
		if got := duration(sec); got != want {
			t.Errorf("%v: %s, want %s", sec, got, want)
		}
	}
}
