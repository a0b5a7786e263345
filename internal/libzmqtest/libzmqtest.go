// Package libzmqtest runs real libzmq sockets for tests, in a process of Debian's
// python3-zmq. Tests skip where that is not installed.
package libzmqtest

import (
	"bufio"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"io"
	"os/exec"
	"testing"
)

//go:embed peer.py
var script string

// python is Debian's, whatever else is on the PATH: the package belongs to it.
const python = "/usr/bin/python3"

// Process is a process with libzmq sockets. It is used by one goroutine at a time.
type Process struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Start starts a process; it ends with the test.
func Start(t testing.TB) *Process {
	t.Helper()
	if err := exec.Command(python, "-c", "import zmq").Run(); err != nil {
		t.Skip("needs libzmq for " + python + ": apt-get install python3-zmq")
	}
	p := &Process{t: t, cmd: exec.Command(python, "-c", script)}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReaderSize(out, 1<<20)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// For is the same process for a subtest, whose failures are then its own.
func (p *Process) For(t testing.TB) *Process {
	q := *p
	q.t = t
	return &q
}

// PID is the number of the process, to stop and continue it.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process at once, as a crash does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// Answer is what the process answered.
type Answer struct {
	Error    string
	Endpoint string
	XPUB     string
	XSUB     string
	Messages [][][]byte
	Timeout  bool
	Sent     bool
	Count    int
	Whole    bool
}

// Do sends a command and returns its answer. See peer.py for what there is.
func (p *Process) Do(command map[string]any) Answer {
	p.t.Helper()
	b, err := json.Marshal(command)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		p.t.Fatalf("libzmq process: %v", err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		p.t.Fatalf("libzmq process: %v", err)
	}
	var a Answer
	if err := json.Unmarshal(line, &a); err != nil {
		p.t.Fatalf("libzmq process: %v: %s", err, line)
	}
	if a.Error != "" {
		p.t.Fatalf("libzmq process: %v: %s", command, a.Error)
	}
	return a
}

// Socket makes a socket of the named type. Options are libzmq's, by name.
func (p *Process) Socket(id, kind string, options map[string]any) {
	p.t.Helper()
	p.Do(map[string]any{"op": "socket", "id": id, "type": kind, "opts": options})
}

// Poke lets the socket do what libzmq does only when it is used: give its
// subscriptions to a new connection.
func (p *Process) Poke(id string) {
	p.t.Helper()
	p.Do(map[string]any{"op": "poke", "id": id})
}

// Bind binds and returns the endpoint.
func (p *Process) Bind(id, endpoint string) string {
	p.t.Helper()
	return p.Do(map[string]any{"op": "bind", "id": id, "endpoint": endpoint}).Endpoint
}

// Connect connects.
func (p *Process) Connect(id, endpoint string) {
	p.t.Helper()
	p.Do(map[string]any{"op": "connect", "id": id, "endpoint": endpoint})
}

// Send sends a message.
func (p *Process) Send(id string, frames ...[]byte) { p.SendMany(id, 1, frames...) }

// SendMany sends a message several times.
func (p *Process) SendMany(id string, times int, frames ...[]byte) {
	p.t.Helper()
	text := make([]string, len(frames))
	for i, f := range frames {
		text[i] = base64.StdEncoding.EncodeToString(f)
	}
	p.Do(map[string]any{"op": "send", "id": id, "frames": text, "times": times})
}

// Recv receives so many messages, each within ten seconds.
func (p *Process) Recv(id string, count int) [][][]byte {
	p.t.Helper()
	a := p.Do(map[string]any{"op": "recv", "id": id, "count": count})
	if a.Timeout {
		p.t.Fatalf("libzmq %s got %d messages, want %d", id, len(a.Messages), count)
	}
	return a.Messages
}

// Drain receives until nothing comes for the time, and returns how many messages
// came, and whether all had that many parts.
func (p *Process) Drain(id string, parts, milliseconds int) (int, bool) {
	p.t.Helper()
	a := p.Do(map[string]any{"op": "drain", "id": id, "parts": parts, "timeout": milliseconds})
	return a.Count, a.Whole
}

// Subscribe subscribes a SUB by option, an XSUB by message.
func (p *Process) Subscribe(id, kind, topic string) { p.wish(id, kind, topic, true) }

// Unsubscribe takes it back.
func (p *Process) Unsubscribe(id, kind, topic string) { p.wish(id, kind, topic, false) }

func (p *Process) wish(id, kind, topic string, subscribe bool) {
	p.t.Helper()
	if kind == "XSUB" {
		first := byte(0)
		if subscribe {
			first = 1
		}
		p.Send(id, append([]byte{first}, topic...))
		return
	}
	op := "unsubscribe"
	if subscribe {
		op = "subscribe"
	}
	p.Do(map[string]any{"op": op, "id": id, "topic": base64.StdEncoding.EncodeToString([]byte(topic))})
}

// Close closes a socket.
func (p *Process) Close(id string) {
	p.t.Helper()
	p.Do(map[string]any{"op": "close", "id": id})
}
