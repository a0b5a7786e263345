package node

import (
	"context"
	"errors"
	"time"

	"github.com/picket-nsm/picket/policy/builtin/reporter"
)

// drainer is an extra ability of a live source: Next hands out what has been
// captured by now, then io.EOF.
type drainer interface{ Drain() }

// runWorker reads until the capture ends or ctx does. A live capture is
// drained: what the kernel has captured by then is analyzed.
func (n *node) runWorker(ctx context.Context) (err error) {
	var cuts []error
	src, err := openSource(&n.spec, func(err error) { cuts = append(cuts, err) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	live := len(n.spec.Capture.Files) == 0
	out, err := n.newLine(!live)
	if err != nil {
		return err
	}
	once, ask, err := n.claims()
	if err != nil {
		return err
	}
	news, err := n.newsroom()
	if err != nil {
		return err
	}
	w, err := wireWorker(wiring{
		capture: n.spec.Capture, peer: n.spec.Name, source: src, line: out, ledger: n.books, once: once, dhcp: n.leases(), news: news, deps: &n.deps,
		patience: 5 * time.Second, memory: memoryLimit(),
	})
	if err != nil {
		return err
	}
	down, stop := context.WithCancel(context.Background())
	defer stop()
	var shipping group
	shipping.start(func() error { return out.ship.Run(down) })
	shipping.start(func() error { return ask(down) })
	shipping.start(func() error { return out.limit(ctx, down, n.spec.drain()) })
	if err := n.join(ctx, out); err != nil {
		return errors.Join(err, stopAll(stop, &shipping))
	}
	n.ready()

	read, cancel := context.WithCancel(ctx)
	defer cancel()
	if d, ok := src.(drainer); ok {
		// Stopping is draining: reading goes on until the ring is empty.
		read, cancel = context.WithCancel(context.Background())
		defer cancel()
		defer context.AfterFunc(ctx, d.Drain)()
	}
	err = w.run(read)
	for _, c := range cuts {
		w.report.Message(float64(w.now), reporter.Warning, c.Error(), "")
	}
	return errors.Join(err, out.drain(n.spec.drain()), stopAll(stop, &shipping))
}

// stopAll ends what runs under a context and waits for it.
func stopAll(stop context.CancelFunc, g *group) error {
	stop()
	return g.wait()
}
