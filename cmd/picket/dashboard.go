package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/api/control"
	"github.com/picket-nsm/picket/api/web"
	"github.com/picket-nsm/picket/host/audit"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/procinfo"
	"github.com/picket-nsm/picket/node"
)

// serveDashboard is one attempt to open the dashboard. last is the port of an
// earlier life.
func serveDashboard(ctx context.Context, w node.Doorway, cfg node.Web, last int, at doorNotes) error {
	guard, err := access.New(dashboardAccess(cfg), access.Deps{
		Log: w.Log, Now: w.Now, Audit: audit.New(cfg.Spool, w.Now), Holder: procinfo.Listener, Via: web.Kind, Last: cmp.Or(last, web.DefaultPort),
		Told: at.wrong,
	})
	if err != nil {
		return err
	}
	sources := map[string]web.Source{}
	for name, s := range cfg.Sources {
		sources[name] = web.Source(s)
	}
	page := web.New(web.Config{Sources: sources, Tokens: cfg.ACL != "", Keep: filepath.Join(w.Spec.Dir, "dashboard.history")}, web.Deps{
		Now: w.Now, Log: w.Log, Guard: guard, Restart: control.New(cfg.Spool, guard).Restart,
		Look:  func(earlier *status.Status) (*status.Status, error) { return status.Collect(cfg.Spool, earlier) },
		Files: func(logger string) ([]ledger.File, error) { return openFiles(filepath.Join(cfg.Spool, logger)) },
	})
	base, err := guard.Listen()
	if err != nil {
		return err
	}
	at.up(base + "/")
	notePort(w, base)
	over, stop := context.WithCancel(ctx)
	var noting sync.WaitGroup
	noting.Go(func() { noteGuard(over, w, web.Kind, page.Counters) })
	err = page.Run(ctx)
	stop()
	noting.Wait()
	return err
}

// dashboardAccess is who comes in there.
func dashboardAccess(c node.Web) access.Config {
	return access.Config{
		Name: "dashboard", Section: "api.web", Example: "127.0.0.1:" + strconv.Itoa(web.DefaultPort), Secret: "tokens",
		Listen: c.Listen, Cert: c.Cert, Key: c.Key, ClientCA: c.ClientCA, ACL: c.ACL, Hosts: c.Hosts,
		TokensOnly: c.ClientCA == "",
	}
}

// openFiles are the log files that a logger, whose folder dir is, has open.
func openFiles(dir string) ([]ledger.File, error) {
	r, err := ledger.Open(dir)
	if err != nil {
		return nil, err
	}
	s, err := r.Snapshot()
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	return s.Files, nil
}

// portFile keeps a door's port over restarts, when the note of the door is gone.
func portFile(dir, kind string) string { return filepath.Join(dir, kind+".port") }

func notePort(w node.Doorway, at string) {
	if u, err := url.Parse(at); err == nil {
		if err := os.WriteFile(portFile(w.Spec.Dir, web.Kind), []byte(u.Port()+"\n"), 0o600); err != nil {
			w.Log.Error(fmt.Sprintf("note port of the dashboard: %v", err))
		}
	}
}

// lastPort is the port of an earlier life in this folder, or 0.
func lastPort(dir, kind string) int {
	text, err := os.ReadFile(portFile(dir, kind))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}
