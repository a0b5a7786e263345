package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/api/control"
	"github.com/picket-nsm/picket/host/audit"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/procinfo"
	"github.com/picket-nsm/picket/node"
)

// doorControl names the door in status, counters and files.
const doorControl = "control"

// serveControl is one attempt to open the door for operators elsewhere.
func serveControl(ctx context.Context, w node.Doorway, cfg node.Control, at doorNotes) error {
	guard, err := access.New(controlAccess(cfg), access.Deps{
		Log: w.Log, Now: w.Now, Audit: audit.New(cfg.Spool, w.Now), Holder: procinfo.Listener, Via: doorControl, Closed: true,
		Last: status.LastPort(w.Spec.Dir, doorControl), Told: at.wrong,
	})
	if err != nil {
		return err
	}
	url, err := guard.Listen()
	if err != nil {
		return err
	}
	at.up(url)
	mux := http.NewServeMux()
	control.New(cfg.Spool, guard).Handle(mux)
	over, stop := context.WithCancel(ctx)
	var noting sync.WaitGroup
	noting.Go(func() { noteGuard(over, w, doorControl, guard.Counters) })
	err = guard.Serve(ctx, mux)
	stop()
	noting.Wait()
	return err
}

// controlAccess is who comes in there.
func controlAccess(c node.Control) access.Config {
	return access.Config{
		Name: "control door", Section: "api.control", Example: "127.0.0.1:27761", Secret: "tokens",
		Listen: c.Listen, Cert: c.Cert, Key: c.Key, ClientCA: c.ClientCA, ACL: c.ACL, Origins: c.Origins,
	}
}

// noteGuard copies a door's counters into the node's ledger.
func noteGuard(ctx context.Context, w node.Doorway, kind string, counters func() map[string]uint64) {
	tick := time.NewTicker(doorNote)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			over = true
		}
		for name, n := range counters() {
			w.Counter(kind + "." + name).Set(n)
		}
	}
}
