package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/picket-nsm/picket/host/audit"
)

// Request is one line of JSON sent to the control socket.
type Request struct {
	Op   string `json:"op"` // status, stop, kill, restart
	Node string `json:"node,omitempty"`
	// As is who asks, where the caller asks for somebody else; nil: the caller.
	As *audit.Actor `json:"as,omitempty"`
}

// Reply is the one line that comes back.
type Reply struct {
	Error string `json:"error,omitempty"`
	State *State `json:"state,omitempty"`
}

const (
	maxRequest    = 4096
	requestIn     = 5 * time.Second // a caller that sends nothing is cut
	maxConnection = 32
)

// Control is the supervisor's only door: a unix socket in the spool that only
// its owner can open, and the group that the spool is shared with. What is asked for there goes into the audit log.
type Control struct {
	l     *net.UnixListener
	sup   *Supervisor
	audit *audit.Log
	slot  chan struct{}
}

// Listen opens the control socket of a spool that this process holds.
func Listen(s *Spool, sup *Supervisor) (*Control, error) {
	// The lock says that no other supervisor lives, so a socket there is a dead one's.
	if err := os.Remove(filepath.Join(s.Dir, fileSocket)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	path, done, err := shortPath(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // the path may be one that only we know
	mode := os.FileMode(0o600)
	if s.shared {
		mode = 0o660
	}
	if err := os.Chmod(filepath.Join(s.Dir, fileSocket), mode); err != nil {
		l.Close()
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	return &Control{l: l, sup: sup, audit: audit.New(s.Dir, nil), slot: make(chan struct{}, maxConnection)}, nil
}

// Run answers requests until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { c.l.Close() })
	defer stop()
	defer c.l.Close()
	for {
		conn, err := c.l.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("control socket: %w", err)
		}
		select {
		case c.slot <- struct{}{}:
		default:
			conn.Close() // more callers than any person has
			continue
		}
		wg.Go(func() {
			defer func() { <-c.slot }()
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			c.serve(ctx, conn)
		})
	}
}

func (c *Control) serve(ctx context.Context, conn *net.UnixConn) {
	_ = conn.SetDeadline(time.Now().Add(requestIn))
	line, err := bufio.NewReader(io.LimitReader(conn, maxRequest)).ReadBytes('\n')
	if err != nil {
		return
	}
	var q Request
	var r Reply
	if err := json.Unmarshal(line, &q); err != nil {
		r.Error = "request: " + err.Error()
	} else if q.Op == opStatus {
		st := c.sup.State()
		r.State = &st
	} else if err := c.operate(ctx, q, conn); err != nil {
		r.Error = err.Error()
	}
	text, err := json.Marshal(r)
	if err != nil {
		return
	}
	_, _ = conn.Write(append(text, '\n'))
}

// opStatus changes nothing, and is not recorded.
const opStatus = "status"

// operate does what is asked and records it. What a door asks for in somebody's
// name is not done where it cannot be recorded; the owner of the socket, who
// could as well send signals, is not held up by a full disk.
func (c *Control) operate(ctx context.Context, q Request, conn *net.UnixConn) error {
	e := audit.Entry{Op: q.Op, On: q.Node, Outcome: audit.Done}
	if q.As != nil {
		e.Actor = *q.As
		if err := c.audit.Ready(); err != nil {
			return fmt.Errorf("%s: refused, as it could not be recorded: %w", q.Op, err)
		}
	} else {
		e.Actor = peer(conn)
	}
	err := c.do(ctx, q)
	if err != nil {
		e.Outcome, e.Error = audit.Failed, err.Error()
	}
	if err := c.audit.Add(e); err != nil && c.sup.deps.Log != nil {
		c.sup.deps.Log.Error(err.Error())
	}
	return err
}

func (c *Control) do(ctx context.Context, q Request) error {
	ctx, cancel := context.WithTimeout(ctx, requestIn)
	defer cancel()
	switch q.Op {
	case "stop":
		return c.sup.Stop(ctx)
	case "kill":
		return c.sup.Kill(ctx)
	case "restart":
		return c.sup.Restart(ctx, q.Node)
	}
	return fmt.Errorf("request: unknown op %q; there are status, stop, kill and restart", q.Op)
}

// AnswerError is what the supervisor answered: it got the request, and has
// recorded it.
type AnswerError struct{ Text string }

func (e *AnswerError) Error() string { return e.Text }

// Ask sends one request to the supervisor of a spool. ErrNotRunning: none works there.
func Ask(ctx context.Context, dir string, q Request) (Reply, error) {
	var r Reply
	if !Held(dir) {
		return r, ErrNotRunning
	}
	path, done, err := shortPath(dir)
	if err != nil {
		return r, fmt.Errorf("ask supervisor: %w", err)
	}
	defer done()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return r, fmt.Errorf("ask supervisor: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	text, err := json.Marshal(q)
	if err != nil {
		return r, fmt.Errorf("ask supervisor: %w", err)
	}
	if _, err := conn.Write(append(text, '\n')); err != nil {
		return r, fmt.Errorf("ask supervisor: %w", err)
	}
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return r, fmt.Errorf("ask supervisor: %w", err)
	}
	if r.Error != "" {
		return r, &AnswerError{r.Error}
	}
	return r, nil
}

// maxSocketPath is what every system allows as the name of a unix socket.
const maxSocketPath = 100

// shortPath is a name of the control socket that is short enough. A spool deep
// down is reached through a descriptor of its folder.
func shortPath(dir string) (path string, done func(), err error) {
	path = filepath.Join(dir, fileSocket)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	path = fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), fileSocket)
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		f.Close()
		return "", nil, fmt.Errorf("%s: the folder's name is too long for a unix socket on this system; give a shorter --spool", dir)
	}
	return path, func() { f.Close() }, nil
}
