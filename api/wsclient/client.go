package wsclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/eventjson"
)

// Handler is what a Client calls, all from Run's goroutine. Any may be nil.
type Handler struct {
	// Event is called with each event. While it works nothing is read: a server
	// closes a client that lets too much wait.
	Event func(Event)
	// Error is called with what the server says of something that was published,
	// and with messages that are not understood. The connection goes on.
	Error func(error)
	// Up is called after each ack, Down when a connection has ended or could not be
	// made, with the reason and the time until the next attempt.
	Up   func(*Conn)
	Down func(err error, next time.Duration)
}

// Client keeps a connection to a server. Methods may be called from any goroutine.
type Client struct {
	cfg Config
	h   Handler

	mu   sync.Mutex
	conn *Conn
	up   chan struct{} // closed while there is a connection
}

// New returns a client that does nothing yet: Run connects.
func New(cfg Config, h Handler) (*Client, error) {
	cfg, err := cfg.defaults()
	if err != nil {
		return nil, fmt.Errorf("websocket client: %w", err)
	}
	return &Client{cfg: cfg, h: h, up: make(chan struct{})}, nil
}

// Run connects and subscribes, again and again, until ctx ends: then it closes
// the connection and returns nil. It returns an error if the server will never
// let us in (Permanent).
func (c *Client) Run(ctx context.Context) error {
	wait := c.cfg.FirstWait
	for ctx.Err() == nil {
		err := c.connection(ctx, func() { wait = c.cfg.FirstWait })
		if ctx.Err() != nil {
			return nil
		}
		if Permanent(err) {
			return fmt.Errorf("websocket client of %s: %w", c.cfg.URL, err)
		}
		now := wait
		if c.cfg.Chance != nil {
			now -= time.Duration(float64(wait) / 2 * c.cfg.Chance())
		}
		if c.h.Down != nil {
			c.h.Down(err, now)
		}
		t := time.NewTimer(now)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
		wait = min(2*wait, c.cfg.MaxWait)
	}
	return nil
}

// connection is the life of one.
func (c *Client) connection(ctx context.Context, acked func()) error {
	conn, err := dial(ctx, c.cfg)
	if err != nil {
		return err
	}
	acked()
	if c.h.Up != nil {
		c.h.Up(conn)
	}
	c.set(conn)
	defer c.set(nil)
	// ctx ends the connection with a goodbye, for which reading must go on.
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = conn.Close()
	})
	defer func() {
		if !stop() {
			<-closed
		}
	}()
	for {
		e, err := conn.Recv(context.Background())
		var said *ServerError
		switch {
		case err == nil:
			if c.h.Event != nil {
				c.h.Event(e)
			}
		case errors.As(err, &said), errors.Is(err, eventjson.ErrSyntax), errors.Is(err, eventjson.ErrValue):
			if c.h.Error != nil {
				c.h.Error(err)
			}
		default:
			_ = conn.ws.CloseNow() // it is gone already, or closing
			return err
		}
	}
}

// set makes a connection the current one, or takes it away.
func (c *Client) set(conn *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn = conn; conn != nil {
		close(c.up)
	} else {
		c.up = make(chan struct{})
	}
}

// current waits for a connection.
func (c *Client) current(ctx context.Context) (*Conn, error) {
	for {
		c.mu.Lock()
		conn, up := c.conn, c.up
		c.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-up:
		case <-ctx.Done():
			return nil, fmt.Errorf("no connection: %w", ctx.Err())
		}
	}
}

// Publish waits for a connection and sends an event over it; see Conn.Publish. An
// error that comes from the connection means that it may or may not have arrived.
func (c *Client) Publish(ctx context.Context, topic string, e event.Event) error {
	conn, err := c.current(ctx)
	if err != nil {
		return fmt.Errorf("publish %s: %w", e.Name, err)
	}
	return conn.Publish(ctx, topic, e)
}

// Sync waits until the server has read what was published over the connection of now.
func (c *Client) Sync(ctx context.Context) error {
	conn, err := c.current(ctx)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return conn.Sync(ctx)
}
