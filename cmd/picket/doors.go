package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/picket-nsm/picket/api/web"
	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/host/audit"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/procinfo"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/standard"
)

// doorWebSocket names the door in status, counters and files.
const doorWebSocket = "websocket"

// doorRetry is how often a door that could not be opened is tried again, and how
// often its counters are noted.
const (
	doorRetry = 5 * time.Second
	doorNote  = 500 * time.Millisecond
)

// openDoors opens the doors that a node's or the hub's spec names and serves
// until ctx ends. A door that does not open is tried again, and status says why.
func openDoors(ctx context.Context, w node.Doorway) {
	var open sync.WaitGroup
	if cfg := w.Spec.Doors.WebSocket; cfg != nil {
		open.Go(func() {
			keepDoor(ctx, w, doorWebSocket, func(at doorNotes) error { return serveWebSocket(ctx, w, *cfg, at) })
		})
	}
	if cfg := w.Spec.Doors.Control; cfg != nil {
		open.Go(func() {
			keepDoor(ctx, w, doorControl, func(at doorNotes) error { return serveControl(ctx, w, *cfg, at) })
		})
	}
	if cfg := w.Spec.Doors.Web; cfg != nil {
		last := lastPort(w.Spec.Dir, web.Kind)
		open.Go(func() {
			keepDoor(ctx, w, web.Kind, func(at doorNotes) error { return serveDashboard(ctx, w, *cfg, last, at) })
		})
	}
	open.Wait()
}

// doorNotes is how a door that is served tells where it is, and later what is
// wrong with it though it is open, "" for nothing any more.
type doorNotes struct{ up, wrong func(text string) }

// keepDoor serves one door until ctx ends, tells where it is, and tries again
// while it does not open.
func keepDoor(ctx context.Context, w node.Doorway, kind string, serve func(doorNotes) error) {
	note := status.Door{Kind: kind, Node: w.Spec.Name, PID: os.Getpid()}
	tell := func(url, trouble string) {
		if note.URL == url && note.Trouble == trouble {
			return
		}
		note.URL, note.Trouble = url, trouble
		if trouble != "" && url == "" { // else the door has logged it
			w.Log.Error(trouble)
		}
		if err := status.WriteDoor(w.Spec.Dir, note); err != nil {
			w.Log.Error(err.Error())
		}
	}
	for ctx.Err() == nil {
		at := doorNotes{up: func(url string) { tell(url, "") }, wrong: func(text string) { tell(note.URL, text) }}
		if err := serve(at); err != nil {
			tell("", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(doorRetry):
		}
	}
	if err := status.CloseDoor(w.Spec.Dir, kind); err != nil {
		w.Log.Error(err.Error())
	}
}

// serveWebSocket is one attempt to open the WebSocket API, on a bus connection of
// its own.
func serveWebSocket(ctx context.Context, w node.Doorway, cfg node.WebSocket, at doorNotes) error {
	id := w.ID + "-websocket"
	bus, err := w.Bus(id)
	if err != nil {
		return err
	}
	mine, also := eventCodecs(w.Spec.Bus.Codec)
	door, err := websocket.New(websocket.Config(cfg), websocket.Deps{
		Log: w.Log, Now: w.Now, ID: w.ID, Version: websocket.ZeekVersion + "-picket",
		Bus: bus, Codec: mine, Also: also, Note: w.Note, Holder: procinfo.Listener,
		Audit: auditOf(w.Spec), Told: at.wrong,
	})
	if err != nil {
		return err
	}
	url, err := door.Listen()
	if err != nil {
		return err
	}
	at.up(url)
	onBus, leave := context.WithCancel(context.Background())
	defer leave()
	over, stop := context.WithCancel(ctx)
	defer stop()
	var busErr error
	var running, noting sync.WaitGroup
	running.Go(func() {
		busErr = bus.Run(onBus)
		stop() // for good: without the bus there is nothing to serve
	})
	noting.Go(func() { noteDoor(over, w, door, bus) })
	err = door.Run(over)
	stop()
	noting.Wait()
	leave()
	running.Wait()
	return errors.Join(err, busErr)
}

// auditOf is the audit log of the cluster that a node belongs to; nil, which takes
// nothing, for one that no supervisor keeps.
func auditOf(s node.Spec) *audit.Log {
	spool := filepath.Dir(s.Dir)
	if st, err := supervisor.LoadState(spool); err != nil || st.Version == 0 {
		return nil
	}
	return audit.New(spool, nil)
}

// noteDoor copies the door's counters into the node's ledger.
func noteDoor(ctx context.Context, w node.Doorway, door *websocket.Server, bus backend.Runner) {
	copyAll := func() {
		for name, n := range door.Counters() {
			w.Counter(doorWebSocket + "." + name).Set(n)
		}
		// What arrived for the door, but it did not keep up.
		w.Counter(doorWebSocket + ".dropped." + backend.DropSlow).Set(bus.Status().Dropped[backend.DropSlow])
	}
	tick := time.NewTicker(doorNote)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			copyAll()
		case <-ctx.Done():
			copyAll()
			return
		}
	}
}

// eventCodecs returns the named codec, or the default, and the others.
func eventCodecs(name string) (mine codec.Codec, also []codec.Codec) {
	for i, c := range standard.Codecs() {
		if c.Name() == name || name == "" && i == 0 {
			mine = c
		} else {
			also = append(also, c)
		}
	}
	return mine, also
}

// websocketDoor is the door of a node that is run by hand.
func websocketDoor(listen string) node.Doors {
	if listen == "" || listen == "off" {
		return node.Doors{}
	}
	return node.Doors{WebSocket: &node.WebSocket{Listen: listen}}
}
