package server

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func start1(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Users == nil {
		o.Users = []User{{"node", "secret"}}
	}
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func TestOnlyKnownUsersGetIn(t *testing.T) {
	s := start1(t, Options{Users: []User{{"node", "secret"}, {"door", "other"}}})
	for _, c := range []struct {
		user, password string
		in             bool
	}{
		{"node", "secret", true}, {"door", "other", true},
		{"", "", false}, {"node", "", false}, {"node", "other", false}, {"", "secret", false}, {"$picket-hub", "", false},
	} {
		nc, err := nats.Connect(s.URL(), nats.UserInfo(c.user, c.password))
		if (err == nil) != c.in {
			t.Errorf("%q with password %q: %v", c.user, c.password, err)
		}
		if !c.in && !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%q: %v is not a refusal", c.user, err)
		}
		if nc != nil {
			if got := nc.MaxPayload(); got != 4<<20 {
				t.Errorf("max payload %d", got)
			}
			nc.Close()
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	s := start1(t, Options{})
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip := a.(*net.IPNet).IP
		if ip.IsLoopback() || ip.To4() == nil {
			continue
		}
		if c, err := net.DialTimeout("tcp", net.JoinHostPort(ip.String(), s.URL()[strings.LastIndex(s.URL(), ":")+1:]), time.Second); err == nil {
			c.Close()
			t.Errorf("reachable at %s", ip)
		}
	}
}

func TestSamePortAgain(t *testing.T) {
	s := start1(t, Options{})
	if nc, err := nats.Connect(s.URL(), nats.UserInfo("node", "secret"), nats.NoReconnect()); err != nil {
		t.Fatal(err)
	} else {
		defer nc.Close()
	}
	s.Stop()
	again := start1(t, Options{Port: s.Port()})
	if again.URL() != s.URL() {
		t.Errorf("%s became %s", s.URL(), again.URL())
	}
	begun := time.Now()
	_, err := Start(Options{Port: s.Port(), Users: []User{{"a", "b"}}, Ready: time.Minute})
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %v to say that the port is taken", took)
	}
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a second server on the port: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "no users"},
		{Options{Users: []User{{"a", ""}}}, "without name or password"},
		{Options{Users: []User{{"a", "b"}}, MaxPending: 1}, "below max payload"},
		{Options{Users: []User{{"a", "b"}}, Host: "192.0.2.1", Ready: 5 * time.Second}, "cannot assign"},
	} {
		s, err := Start(c.o)
		if err == nil {
			s.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
}

func TestGone(t *testing.T) {
	gone := make(chan string, 10)
	s := start1(t, Options{Gone: func(name string) { gone <- name }})
	nc, err := nats.Connect(s.URL(), nats.UserInfo("node", "secret"), nats.Name("worker-1"))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	select {
	case name := <-gone:
		if name != "worker-1" {
			t.Errorf("%q left", name)
		}
	case <-time.After(time.Minute):
		t.Error("nobody was told")
	}
	st, err := s.Stats()
	if err != nil || st.SlowConsumers != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestJetStreamSwitch(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		s := start1(t, Options{StoreDir: dir})
		nc, err := nats.Connect(s.URL(), nats.UserInfo("node", "secret"))
		if err != nil {
			t.Fatal(err)
		}
		js, err := nc.JetStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.AccountInfo(); (err == nil) != (dir != "") {
			t.Errorf("store dir %q: %v", dir, err)
		}
		nc.Close()
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s, err := Start(Options{Users: []User{{"node", "secret"}}})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.Stop()
		b.StartTimer()
	}
}
