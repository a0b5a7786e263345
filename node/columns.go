package node

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/stock"
)

// columns knows which loggers write which rows. Ours write all; a real Zeek's throws
// away, without a word to anybody, what has not its own columns. Its methods may
// be called from any goroutine.
type columns struct {
	stock   map[string]*stock.Zeek // loggers of which the spec says that they are a Zeek's
	unsaid  *stock.Zeek            // what one is of which only the bus has found that out
	foreign func(logger string) bool
	loggers []string // of the layout
	log     *slog.Logger

	mu   sync.Mutex
	told map[string]bool
}

// newColumns takes what the spec says, and what the bus will find out.
func newColumns(s Spec, l *layout.Layout, bus backend.Driver, log *slog.Logger) (*columns, error) {
	c := &columns{foreign: func(string) bool { return false }, log: log, told: map[string]bool{}}
	if f, ok := bus.(backend.Foreigners); ok {
		c.foreign = f.Foreign
	}
	for _, n := range l.Loggers() {
		c.loggers = append(c.loggers, n.Name)
	}
	var err error
	if c.stock, err = s.zeeks(); err != nil {
		return nil, err
	}
	versions := stock.Versions()
	c.unsaid, err = stock.New(versions[len(versions)-1], true)
	return c, err
}

// zeek is the Zeek that a logger is; nil: it is ours, or nothing is known of it yet.
func (c *columns) zeek(logger string) *stock.Zeek {
	if z := c.stock[logger]; z != nil || !c.foreign(logger) {
		return z
	}
	if c.fresh("logger " + logger) {
		c.log.Warn(fmt.Sprintf("%s is a real Zeek's and is taken for %s: it is sent the logs that have its columns; if it is another, say --zeek-logger %s=VERSION", logger, c.unsaid, logger))
	}
	return c.unsaid
}

// fresh says whether a thing was not told before.
func (c *columns) fresh(thing string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.told[thing] = true }()
	return !c.told[thing]
}

// takes is ship.Deps.Takes.
func (c *columns) takes(logger string, b *record.Batch) bool {
	z := c.zeek(logger)
	return z == nil || fit(z, b) == nil
}

// nobody says why none of the loggers can write a batch, so that it need not wait;
// nil: one can, or may.
func (c *columns) nobody(b *record.Batch) error {
	var why error
	for _, name := range c.loggers {
		z := c.zeek(name)
		if z == nil {
			return nil
		}
		if why = fit(z, b); why == nil {
			return nil
		}
	}
	if why != nil && c.fresh("log "+b.Path) {
		c.log.Warn("no logger writes these rows, so they are dropped and counted", "path", b.Path, "why", why)
	}
	return why
}

func fit(z *stock.Zeek, b *record.Batch) error {
	r, err := record.Open(b.Payload)
	if err != nil {
		return err
	}
	return z.Fit(r.Schema())
}
