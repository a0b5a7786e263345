// Package natsd runs the machine's own nats-server program for tests: a server
// of another build than the one we embed, which can be killed and started again.
package natsd

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/testenv"
)

// Server is a nats-server process on a port of its own.
type Server struct {
	bin, conf string
	port      int
	cmd       *exec.Cmd
	out       bytes.Buffer
}

// New starts a server with these settings besides its address. It skips the test
// where the program is missing, and ends the server with the test.
func New(t testing.TB, conf string) *Server {
	t.Helper()
	s := &Server{bin: testenv.NeedTool(t, "nats-server")}
	s.port = testenv.Ports(t, 1)
	s.conf = filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(s.conf, fmt.Appendf(nil, "listen: 127.0.0.1:%d\n%s", s.port, conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
	t.Cleanup(s.Kill)
	return s
}

// URL is the server's address with this scheme.
func (s *Server) URL(scheme string) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, s.port) }

// Start starts the server, again after Kill, on the same port.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(s.bin, "-c", s.conf)
	s.out.Reset()
	s.cmd.Stderr = &s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			s.Kill() // and wait, so that what it said is whole
			t.Fatalf("nats-server does not start: %s", s.out.String())
		}
	}
}

// Kill ends the server by SIGKILL and waits for it.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Cluster starts n servers that are one NATS cluster, as New would each.
func Cluster(t testing.TB, n int) []*Server {
	t.Helper()
	bin := testenv.NeedTool(t, "nats-server")
	port := testenv.Ports(t, 2*n) // n for clients, n for the others
	var routes []string
	for i := range n {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port+n+i))
	}
	var all []*Server
	for i := range n {
		s := &Server{bin: bin, port: port + i, conf: filepath.Join(t.TempDir(), "nats.conf")}
		conf := fmt.Sprintf("listen: 127.0.0.1:%d\nserver_name: n%d\ncluster { name: picket, listen: 127.0.0.1:%d, routes: [%s] }\n", port+i, i, port+n+i, strings.Join(routes, ", "))
		if err := os.WriteFile(s.conf, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Start(t)
		t.Cleanup(s.Kill)
		all = append(all, s)
	}
	return all
}
