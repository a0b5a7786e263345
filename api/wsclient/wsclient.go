// Package wsclient is a client of Zeek's WebSocket API: it subscribes to topics,
// gets typed events, and publishes events, at Picket's door or at a real Zeek.
//
// It stands outside the cluster, in whatever program imports it, and needs
// nothing of Picket but zeek/ words. Client keeps a connection: it connects
// again and subscribes again when one ends, and tells when that happens. Conn
// is one connection, for who wants to do that himself. What was published while
// there was no connection is missed: the API keeps nothing, and neither does
// this package.
package wsclient

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/eventjson"
)

// DefaultURL is where a server listens by default.
const DefaultURL = "ws://127.0.0.1:27759/v1/messages/json"

// Config says what to connect to, and as whom.
type Config struct {
	// URL of the server, default DefaultURL. Without a path it gets /v1/messages/json;
	// with /v2/messages/json, which only Picket has, records come by field name.
	URL         string
	Topics      []string // prefixes; none: nothing comes in
	Application string   // X-Application-Name; letters, digits and /_-.=:*@
	Token       string   // bearer token; only Picket looks at it
	TLS         *tls.Config

	MaxMessage int64         // bytes of a message that is read; default 64 MiB
	Timeout    time.Duration // of one attempt to connect, the ack included; default 10 s

	// Of Client: the first wait before it connects again, and the longest; the wait
	// doubles, and Chance, from 0 to 1, shortens it by up to a half. Defaults 100 ms,
	// 10 s, none.
	FirstWait, MaxWait time.Duration
	Chance             func() float64
}

func (c Config) defaults() (Config, error) {
	c.URL = cmp.Or(c.URL, DefaultURL)
	c.MaxMessage = cmp.Or(c.MaxMessage, 64<<20)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.FirstWait = cmp.Or(c.FirstWait, 100*time.Millisecond)
	c.MaxWait = cmp.Or(c.MaxWait, 10*time.Second)
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return c, fmt.Errorf("url %q: want ws://host:port or wss://host:port", c.URL)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/messages/json"
		c.URL = u.String()
	}
	return c, nil
}

func (c Config) style() eventjson.Style {
	if strings.HasSuffix(c.URL, "/v2/messages/json") {
		return eventjson.Named
	}
	return eventjson.Zeek
}

// ServerError is an error message of the server, about something that it got.
type ServerError struct {
	Code, Context string
	Detail        string // from Picket's /v2 only
}

func (e *ServerError) Error() string {
	s := e.Code + ": " + e.Context
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// RefusedError is a handshake that the server refused, with its reason.
type RefusedError struct {
	Status int
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused by the server with status %d: %s", e.Status, e.Reason)
}

// ClosedError is a connection that the server closed, with its reason.
type ClosedError struct {
	Code   int
	Reason string
}

func (e *ClosedError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("closed by the server with code %d", e.Code)
	}
	return fmt.Sprintf("closed by the server with code %d: %s", e.Code, e.Reason)
}

// Permanent reports whether an error of Dial or Recv will come again however often
// one tries: wrong token, foreign origin, topics that are not allowed, no such path.
func Permanent(err error) bool {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused.Status/100 == 4 && refused.Status != http.StatusTooManyRequests && refused.Status != http.StatusRequestTimeout
	}
	var closed *ClosedError
	if errors.As(err, &closed) {
		const policy = 1008
		return closed.Code == policy
	}
	var said *ServerError
	return errors.As(err, &said)
}

// Event is an event with the topic it was published to.
type Event struct {
	event.Event
	Topic string
}

// Conn is one connection, subscribed and acknowledged. Recv belongs to one
// goroutine; everything else may be called from any.
type Conn struct {
	ws       *websocket.Conn
	style    eventjson.Style
	in       bytes.Buffer // the message being read
	Endpoint string       // what the server calls us
	Version  string       // of the server
}

// Dial connects, subscribes and waits for the ack.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	cfg, err := cfg.defaults()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c, err := dial(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cfg.URL, err)
	}
	return c, nil
}

func dial(ctx context.Context, cfg Config) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	h := http.Header{}
	if cfg.Application != "" {
		h.Set("X-Application-Name", cfg.Application)
	}
	if cfg.Token != "" {
		h.Set("Authorization", "Bearer "+cfg.Token)
	}
	tr := &http.Transport{TLSClientConfig: cfg.TLS, Proxy: http.ProxyFromEnvironment}
	ws, resp, err := websocket.Dial(ctx, cfg.URL, &websocket.DialOptions{HTTPHeader: h, HTTPClient: &http.Client{Transport: tr}})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			reason, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
			return nil, &RefusedError{resp.StatusCode, strings.TrimSpace(string(reason))}
		}
		var request *url.Error
		if errors.As(err, &request) {
			err = request.Err // without the URL, which is ours to name
		}
		return nil, err
	}
	ws.SetReadLimit(cfg.MaxMessage)
	c := &Conn{ws: ws, style: cfg.style()}
	if err := c.hello(ctx, cfg.Topics); err != nil {
		_ = ws.CloseNow()
		return nil, err
	}
	return c, nil
}

// hello sends the subscriptions and waits for the ack.
func (c *Conn) hello(ctx context.Context, topics []string) error {
	if err := c.write(ctx, eventjson.AppendSubscriptions(nil, topics)); err != nil {
		return err
	}
	m, err := c.read(ctx)
	if err != nil {
		return err
	}
	switch m.Type {
	case eventjson.TypeAck:
		c.Endpoint, c.Version = m.Endpoint, m.Version
		return nil
	case eventjson.TypeError:
		return &ServerError{m.Code, m.Context, m.Detail}
	}
	return fmt.Errorf("no ack but a message of type %q", m.Type)
}

func (c *Conn) read(ctx context.Context) (eventjson.Message, error) {
	text, err := c.message(ctx)
	if err != nil {
		var bye websocket.CloseError
		switch {
		case errors.As(err, &bye):
			err = &ClosedError{int(bye.Code), bye.Reason}
		case ctx.Err() != nil:
			err = ctx.Err()
		}
		return eventjson.Message{}, err
	}
	m, err := eventjson.ParseMessage(text, c.style)
	if err != nil {
		return m, fmt.Errorf("read message: %w", err)
	}
	return m, nil
}

// Recv returns the next event. An error message of the server is returned as a
// *ServerError; the connection goes on, and Recv may be called again. A message
// that is not understood is an error of kind eventjson.ErrSyntax or ErrValue,
// likewise. All else ends the connection; *ClosedError says with which reason.
func (c *Conn) Recv(ctx context.Context) (Event, error) {
	m, err := c.read(ctx)
	if err != nil {
		return Event{}, fmt.Errorf("receive: %w", err)
	}
	if m.Type == eventjson.TypeError {
		return Event{}, &ServerError{m.Code, m.Context, m.Detail}
	}
	e, bad := eventjson.Unwrap(m.Data)
	if bad != "" {
		return Event{}, fmt.Errorf("receive: %w: %s", eventjson.ErrValue, bad)
	}
	return Event{e, m.Topic}, nil
}

// Publish sends an event. The server does not acknowledge events; what it thinks
// of one comes back from Recv, if it thinks ill. Over /v1 strings must be UTF-8
// and doubles numbers. It keeps nothing of e.
func (c *Conn) Publish(ctx context.Context, topic string, e event.Event) error {
	text, err := eventjson.AppendEvent(nil, topic, &e, c.style, nil)
	if err == nil && !utf8.Valid(text) {
		err = errors.New("a string that is not UTF-8; only /v2 takes those")
	}
	if err == nil {
		err = c.write(ctx, text)
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", e.Name, err)
	}
	return nil
}

// message reads the next one. It is valid until the next call. The library would
// watch ctx for each part of a frame, and make a new buffer for each message.
func (c *Conn) message(ctx context.Context) ([]byte, error) {
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { _ = c.ws.CloseNow() })
		defer stop()
	}
	_, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	if c.in.Cap() > keepBuffer {
		c.in = bytes.Buffer{}
	}
	c.in.Reset()
	if _, err := c.in.ReadFrom(r); err != nil {
		return nil, err
	}
	return c.in.Bytes(), nil
}

// keepBuffer is the largest buffer that is kept between messages.
const keepBuffer = 256 << 10

func (c *Conn) write(ctx context.Context, text []byte) error {
	return c.ws.Write(ctx, websocket.MessageText, text)
}

// Sync waits until the server has read all that was sent before. Picket's has then
// handled it, and what it had to say about it has come in. Recv must be running
// meanwhile.
func (c *Conn) Sync(ctx context.Context) error {
	if err := c.ws.Ping(ctx); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

// Close says goodbye and ends the connection.
func (c *Conn) Close() error {
	if err := c.ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
