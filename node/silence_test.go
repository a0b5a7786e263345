package node

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/ship"
	"github.com/picket-nsm/picket/policy/builtin/weird"
	"github.com/picket-nsm/picket/standard"
	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/traffic/packet/packettest"
	"github.com/picket-nsm/picket/zeek/record"
)

// quiet is an interface on which one packet passes, and then none for minutes.
type quiet struct {
	clock *time.Time
	look  func(silence time.Duration) // while it is silent
	first time.Time
	until time.Duration
	seen  bool
}

func (q *quiet) Next(context.Context) ([]capture.Frame, error) {
	if !q.seen {
		q.seen = true
		b := packettest.Ether(0x0800, packettest.IPv4(packettest.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 17}, packettest.UDP(5000, 9999, []byte("x"))))
		return []capture.Frame{{Time: packet.Time(q.first.Unix()), Seq: 1, Data: b, WireLen: len(b), Link: 1}}, nil
	}
	silence := q.clock.Sub(q.first)
	if q.look(silence); silence > q.until {
		return nil, io.EOF
	}
	*q.clock = q.clock.Add(time.Second)
	return nil, nil
}

func (q *quiet) Stats() capture.Stats { return capture.Stats{} }
func (q *quiet) Close() error         { return nil }

// nowhere takes batches and has no logger.
type nowhere struct{}

func (nowhere) Send(string, *record.Batch) error { return nil }
func (nowhere) Limit() int                       { return 1 << 20 }

var _ ship.Carrier = nowhere{}

// TestSilentInterface: a connection ends when its time is up, though no packet
// comes after it; in a capture file time goes on with packets only.
func TestSilentInterface(t *testing.T) {
	for _, live := range []bool{true, false} {
		clock := time.Unix(1_700_000_000, 0)
		books, err := ledger.New("worker-1", "worker", 1)
		if err != nil {
			t.Fatal(err)
		}
		deps := &Deps{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return clock }, Rand: rand.Reader, Protocols: standard.Protocols(), Formats: standard.Formats()}
		q := &quiet{clock: &clock, first: clock, until: 3 * time.Minute}
		var of Capture
		if !live {
			of.Files = []string{"a.pcap"}
		}
		w, err := wireWorker(wiring{
			capture: of, peer: "worker-1", source: q, line: newLine(books, nowhere{}, nil, nil, false, deps), ledger: books, once: weird.NewLocal(86400, 100), deps: deps,
		})
		if err != nil {
			t.Fatal(err)
		}
		q.look = func(silence time.Duration) {
			active := w.table.Stats().Active
			lag := time.Duration(w.count.lag.Load()) * time.Microsecond
			switch {
			case silence < 55*time.Second && active != 1:
				t.Errorf("live %v: %d connections after %v", live, active, silence)
			case live && silence > 70*time.Second && active != 0:
				t.Errorf("%d connections after %v", active, silence)
			case !live && active != 1:
				t.Errorf("a file's connection ended after %v by the clock on the wall", silence)
			case live && silence > 2*time.Second && lag > 2*time.Second, !live && lag != 0:
				t.Errorf("live %v: behind by %v", live, lag)
			}
		}
		if err := w.run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
