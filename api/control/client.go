package control

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
)

// Target is a door elsewhere, and who asks there.
type Target struct {
	URL   string // https://host:port
	Token string
	TLS   *tls.Config // authorities, and a certificate of ours; nil: the system's, none
}

// Client asks a control door. Its methods may be called by several goroutines.
type Client struct {
	url   string
	token string
	http  *http.Client
}

// maxAnswer bounds what a door may send.
const maxAnswer = 64 << 20

// NewClient checks the URL. A token goes nowhere without TLS, but to loopback.
func NewClient(t Target) (*Client, error) {
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("url %q: want https://host:port", t.URL)
	}
	if ip := u.Hostname(); u.Scheme == "http" && ip != "localhost" && ip != "127.0.0.1" && ip != "::1" {
		return nil, fmt.Errorf("url %q: want https: the token would be readable on the way", t.URL)
	}
	c := &Client{url: u.Scheme + "://" + u.Host, token: t.Token}
	c.http = &http.Client{
		Transport: &http.Transport{TLSClientConfig: t.TLS, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 15 * time.Second, IdleConnTimeout: time.Minute},
		// A door sends nobody elsewhere; whoever does would get the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// RefusedError is an answer of the door that is not what was asked for.
type RefusedError struct {
	Status int
	Text   string
}

func (e *RefusedError) Error() string { return e.Text }

// Who says who the door takes us for.
func (c *Client) Who(ctx context.Context) (w Who, err error) {
	return w, c.ask(ctx, "GET", PathWho, &w)
}

// Status is the cluster as it is.
func (c *Client) Status(ctx context.Context) (*status.Status, error) {
	s := &status.Status{}
	if err := c.ask(ctx, "GET", PathStatus, s); err != nil {
		return nil, err
	}
	return s, nil
}

// State is what the supervisor knows.
func (c *Client) State(ctx context.Context) (*supervisor.State, error) {
	s := &supervisor.State{}
	if err := c.ask(ctx, "GET", PathState, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Restart stops a node with drain and starts it again, without waiting for it.
func (c *Client) Restart(ctx context.Context, node string) error {
	return c.ask(ctx, "POST", strings.Replace(PathRestart, "{node}", url.PathEscape(node), 1), nil)
}

// Stop stops the cluster, or kills it, without waiting for it.
func (c *Client) Stop(ctx context.Context, now bool) error {
	if now {
		return c.ask(ctx, "POST", PathKill, nil)
	}
	return c.ask(ctx, "POST", PathStop, nil)
}

// Output is the last lines that a node has printed to a stream.
func (c *Client) Output(ctx context.Context, node, stream string, n int) ([]string, error) {
	var out struct{ Lines []string }
	q := url.Values{"stream": {stream}, "lines": {strconv.Itoa(n)}}
	err := c.ask(ctx, "GET", strings.Replace(PathOutput, "{node}", url.PathEscape(node), 1)+"?"+q.Encode(), &out)
	return out.Lines, err
}

// ask sends a request and reads its answer, if anybody wants it.
func (c *Client) ask(ctx context.Context, method, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.url, err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // it repeats the URL
		}
		return fmt.Errorf("ask %s: %w", c.url, err)
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode != http.StatusOK {
		var said struct{ Error string }
		text, _ := io.ReadAll(io.LimitReader(body, 4<<10))
		if json.Unmarshal(text, &said) != nil || said.Error == "" {
			said.Error = "answers " + resp.Status + ": is it a picket control door?"
		}
		return &RefusedError{resp.StatusCode, said.Error}
	}
	if into == nil {
		_, _ = io.Copy(io.Discard, body) // so that the connection is used again
		return nil
	}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("ask %s: answer: %w", c.url, err)
	}
	return nil
}
