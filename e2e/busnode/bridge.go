package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/nats/server"
	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/host/bridge"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/batch"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/record/recordtest"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// zeekWorker is the name of the real Zeek process beside the bridge.
const zeekWorker = "zeek-1"

// bridgeHub is a hub over NATS with a bridge for real Zeek processes. It prints the
// bus's URL, and where Zeek processes subscribe, publish and send batches.
func bridgeHub(dir string) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	s, err := server.Start(server.Options{Users: []server.User{{Name: "node", Password: password}}})
	if err != nil {
		return err
	}
	wg.Go(func() { _ = s.Run(ctx) })
	any := []string{"tcp://127.0.0.1:*"}
	b, err := broker.New(broker.Config{XPUB: any, XSUB: any}, broker.Deps{})
	if err != nil {
		return err
	}
	xpub, xsub, err := b.Listen()
	if err != nil {
		return err
	}
	wg.Go(func() { _ = b.Run(ctx) })
	books, err := ledger.Create(filepath.Join(dir, "hub-books"), "hub", "hub", uint64(time.Now().UnixNano()))
	if err != nil {
		return err
	}
	l := &layout.Layout{Nodes: []layout.Node{
		{Name: zeekWorker, Role: layout.Worker}, {Name: "worker-2", Role: layout.Worker}, {Name: theLogger, Role: layout.Logger},
	}}
	batches := os.Getenv("BUSNODE_LOGGER")
	br, err := bridge.New(bridge.Config{
		ID: "bridge", Layout: l, Zeek: []string{zeekWorker}, XPUB: xpub[0], XSUB: xsub[0],
		Loggers: []bridge.Logger{{Name: theLogger, At: []string{batches}}},
	}, bridge.Deps{
		Broker: b, Codec: brokerbin.New(), Ledger: books, Now: time.Now,
		Connect: func(id string) (backend.Driver, error) { return connect(s.URL(), "hub", id) },
	})
	if err != nil {
		return err
	}
	bridging, leave := context.WithCancel(ctx)
	defer leave()
	var bridge1 sync.WaitGroup
	bridge1.Go(func() {
		if err := br.Run(bridging); err != nil {
			fmt.Fprintln(os.Stderr, "busnode:", err)
		}
	})
	fmt.Printf("%s\n%s\n%s\n%s\n", s.URL(), xpub[0], xsub[0], batches)
	_, err = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
	leave()
	bridge1.Wait()
	stop()
	wg.Wait()
	snap, e := books.Snapshot()
	if e != nil {
		return e
	}
	n := snap.Counters
	fmt.Printf("hub %s; %d events in, %d out, %d dropped; %d batches\n", cpu(), n[bridge.EventsIn], n[bridge.EventsOut], n[bridge.Dropped], n[bridge.Batches])
	return err
}

// writeFrames writes to dir what internal/oracle/libzmq/peer.c sends: an event to
// worker-2, and a batch of 1,000 rows. It prints where in the event the number is.
func writeFrames(dir string) error {
	id := []byte("zeromq_" + zeekWorker + "_localhost_1_N")
	const mark = 0x1122334455667788
	e := small(make([]value.Value, 2), mark)
	payload, err := brokerbin.New().Append(nil, &e)
	if err != nil {
		return err
	}
	at := 0
	for binary.BigEndian.Uint64(payload[at:]) != mark {
		at++
	}
	write := func(name string, frames ...[]byte) error {
		var all []byte
		for _, f := range frames {
			all = append(binary.BigEndian.AppendUint32(all, uint32(len(f))), f...)
		}
		return os.WriteFile(filepath.Join(dir, name), all, 0o666)
	}
	if err := write("event", []byte(topic.Node("worker-2")), id, []byte(brokerbin.Name), payload); err != nil {
		return err
	}
	books, err := ledger.Create(filepath.Join(dir, "books"), "frames", "worker", 1)
	if err != nil {
		return err
	}
	defer books.Close()
	var full *record.Batch
	b := batch.New(batch.Default(), batch.Deps{Ledger: books, Out: func(r *record.Batch) { full = r }})
	schema, row := recordtest.Conn()
	stream, err := b.Stream(schema)
	if err != nil {
		return err
	}
	for full == nil {
		stream.Write(row)
	}
	fmt.Println(at, full.Records)
	return write("batch", []byte("log-write"), id, []byte("zeek-bin-serializer"), full.Payload)
}
