package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/wsclient"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/eventjson"
	"github.com/picket-nsm/picket/zeek/value"
)

func TestEventArguments(t *testing.T) {
	typed := func(typ, data string) string { return `{"@data-type":"` + typ + `","data":` + data + `}` }
	for arg, want := range map[string]string{
		"T": typed("boolean", "true"), "F": typed("boolean", "false"), "bool:T": typed("boolean", "true"),
		"42": typed("count", "42"), "count:42": typed("count", "42"), "-1": typed("integer", "-1"), "+1": typed("integer", "1"), "int:1": typed("integer", "1"),
		"0.5": typed("real", "0.500000"), "1e3": typed("real", "1000.000000"), "double:1": typed("real", "1.000000"),
		"10.0.0.1": typed("address", `"10.0.0.1"`), "2001:db8::1": typed("address", `"2001:db8::1"`), "10.0.0.0/8": typed("subnet", `"10.0.0.0/8"`),
		"2001:db8::/32": typed("subnet", `"2001:db8::/32"`), "443/tcp": typed("port", `"443/tcp"`), "53/udp": typed("port", `"53/udp"`),
		"90sec": typed("timespan", `"90s"`), "1.5min": typed("timespan", `"90s"`), "-2hrs": typed("timespan", `"-7200s"`), "1 day": typed("timespan", `"86400s"`),
		"interval:1msec": typed("timespan", `"1ms"`), "2024-01-31T12:00:00Z": typed("timestamp", `"2024-01-31T12:00:00.000"`),
		"time:1700000000.25": typed("timestamp", `"2023-11-14T22:13:20.250"`), "enum:Conn::LOG": typed("enum-value", `"Conn::LOG"`),
		"hello": typed("string", `"hello"`), "": typed("string", `""`), "string:42": typed("string", `"42"`), "a:b": typed("string", `"a:b"`),
		"nan": typed("string", `"nan"`), "inf": typed("string", `"inf"`), "0x10": typed("string", `"0x10"`), "1.2.3": typed("string", `"1.2.3"`), "80": typed("count", "80"),
		"Conn::LOG":                             typed("string", `"Conn::LOG"`),
		"set:2,1":                               typed("set", "["+typed("count", "1")+","+typed("count", "2")+"]"),
		"vector:a,1":                            typed("vector", "["+typed("string", `"a"`)+","+typed("count", "1")+"]"),
		"vector:string:1":                       typed("vector", "["+typed("string", `"1"`)+"]"),
		"set:":                                  typed("set", "[]"),
		`json:{"@data-type":"table","data":[]}`: typed("table", "[]"),
	} {
		v, err := parseArg(arg)
		if err != nil {
			t.Errorf("%q: %v", arg, err)
			continue
		}
		got, err := eventjson.AppendValue(nil, v, eventjson.Strict, nil)
		if err != nil || string(got) != want {
			t.Errorf("%q: got %s, want %s (%v)", arg, got, want, err)
		}
	}
	for _, bad := range []string{"count:-1", "int:x", "double:nan", "bool:x", "addr:x", "addr:10.0.0.1%eth0", "subnet:10.0.0.0/33", "port:80", "port:80/x", "interval:90", "interval:9e300sec",
		"time:x", "time:1e300", "json:{", "set:1,count:x", "interval:99999999999999999999days"} {
		if v, err := parseArg(bad); err == nil {
			t.Errorf("%q: %+v", bad, v)
		}
	}
}

func TestEventLines(t *testing.T) {
	vec, str, cnt := value.Vector, value.String, value.Count
	e := wsclient.Event{Topic: "/t", Event: event.New("A::b", value.Bool(true), cnt(1), value.Int(2), value.Int(-1), value.Double(0.5), str("a\"\xff"),
		value.Port(80, value.ProtoTCP), value.IntervalNanos(90e9), value.Enum("Conn::LOG"), value.Set([]value.Value{cnt(1), cnt(2)}),
		value.Table([]value.Value{str("k"), cnt(1)}), value.Table([]value.Value{cnt(1), str("v")}), vec([]value.Value{{}, str("x")}),
		value.Record([]value.Value{str("f"), cnt(1), str("g"), str("")}))}
	for want, f := range map[string]subFlags{
		`/t A::b(T, 1, +2, -1, 0.5, "a\"\xff", 80/tcp, 90s, Conn::LOG, {1, 2}, {"k" = 1}, {1 = "v"}, [-, "x"], [$f=1, $g=""])`:                           {},
		`{"topic":"/t","event":"A::b","args":[true,1,2,-1,0.5,"a\"\\xff","80/tcp","90s","Conn::LOG",[1,2],{"k":1},[[1,"v"]],[null,"x"],{"f":1,"g":""}]}`: {json: true},
	} {
		if got := string(appendEventLine(nil, e, f)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// webSocketDoors leaves out the doors of the metrics.
func webSocketDoors(s *status.Status) (doors []status.Door) {
	for _, d := range s.Doors {
		if d.Kind == doorWebSocket {
			doors = append(doors, d)
		}
	}
	return doors
}

// A cluster of real processes with the door open: events go in and out, the log
// says so, and status shows it.
func TestDoorOfACluster(t *testing.T) {
	t.Parallel()
	for _, holder := range []string{"manager", "hub", "proxy-1"} {
		t.Run(holder, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			conf := m.file("c.toml", fmt.Sprintf("[logs]\nrotate = \"0s\"\n[api.websocket]\nlisten = \"127.0.0.1:0\"\nnode = %q\n", holder))
			u := m.up("-c", conf, "--read", demo(t), "--pace", "60s")
			s := m.wait("the door is open", func(s *status.Status) bool {
				return allReady(s) && len(webSocketDoors(s)) == 1 && webSocketDoors(s)[0].URL != ""
			})
			if d := webSocketDoors(s)[0]; d.Node != holder || d.Kind != "websocket" || d.Trouble != "" {
				t.Errorf("%+v", d)
			}
			if out, _ := m.picket("status"); !strings.Contains(out, "websocket of "+holder+"  ws://127.0.0.1:") {
				t.Error(out)
			}
			// What nodes say comes out; presence is said each second.
			out, code := m.picket("events", "sub", "picket.", "-n", "2", "--timeout", "30s", "--json", "--event", "Picket::*")
			if code != 0 || strings.Count(out, `{"topic":"picket.presence","event":"Picket::here","args":[`) != 2 {
				t.Errorf("code %d: %s", code, out)
			}
			// One client to another.
			sub := make(chan string, 1)
			go func() {
				out, code := m.picket("events", "sub", "/x", "--timeout", "30s", "-n", "1", "--grep", "hello.*5$|5\\)$")
				sub <- fmt.Sprint(code, " ", out)
			}()
			for got := ""; got == ""; {
				if out, code := m.picket("events", "pub", "/x/y", "A::b", "hello", "5"); code != 0 || out != "" {
					t.Errorf("code %d: %s", code, out)
				}
				select {
				case got = <-sub:
					if got != "0 /x/y A::b(\"hello\", 5)\n" {
						t.Error(got)
					}
				case <-time.After(50 * time.Millisecond): // not subscribed yet
				}
			}
			// What scripts get when it goes wrong.
			for _, c := range []struct {
				args string
				code int
				says string
			}{
				{"events sub /nothing -n 1 --timeout 300ms", exitPartial, "events sub: 0 of 1 events in 300ms"},
				{"events sub /nothing --timeout 300ms", exitOK, ""},
				{"events pub /x Picket::goodbye a b", exitFailure, "events whose names begin with Picket:: are the nodes' own"},
				{"events pub /x e count:-1", exitUsage, "argument 1, count:-1"},
				{"events pub /x", exitUsage, "want a topic, the name of an event"},
				{"events sub", exitUsage, `"" is every topic`},
				{"events sub x --grep (", exitUsage, "--grep"},
				{"events sub x --event [", exitUsage, "--event"},
				{"events sub x --json --typed", exitUsage, "does not go with"},
				{"events sub x --url http://x", exitUsage, "want ws://host:port"},
				{"events pub --url ws://127.0.0.1:1 t e", exitFailure, "connection refused; does the cluster run (picket status), or is it elsewhere (--url)?"},
				{"events sub --url ws://127.0.0.1:1 t", exitFailure, "connection refused; does the cluster run"},
				{"events sub x --token-file none", exitUsage, "token: open none"},
			} {
				out, code := m.picket(strings.Fields(c.args)...)
				if code != c.code || !strings.Contains(out, c.says) {
					t.Errorf("%s: code %d: %s", c.args, code, out)
				}
			}
			m.picket("stop")
			u.end(t)
			log, err := os.ReadFile(filepath.Join(m.dir, "logs", "cluster.log"))
			if err != nil {
				t.Fatalf("%v\n%s", err, u.out())
			}
			if want := holder == "manager"; strings.Contains(string(log), "application_name=picket-events subscribed to [/x]\n") != want {
				t.Errorf("%s", log)
			}
		})
	}
}

// A taken port costs the manager its door, not its life; when the port is free
// the door opens.
func TestDoorTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", testenv.Ports(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := newMachine(t)
	conf := m.file("c.toml", fmt.Sprintf("[api.websocket]\nlisten = %q\n", l.Addr()))
	m.up("-c", conf, "--read", demo(t), "--pace", "120s")
	want := fmt.Sprintf("open websocket api: %s is taken by %s, pid %d; give listen in [api.websocket] another port", l.Addr(), filepath.Base(os.Args[0]), os.Getpid())
	s := m.wait("the door is taken", func(s *status.Status) bool { return allReady(s) && len(webSocketDoors(s)) == 1 })
	if got := webSocketDoors(s)[0]; got.URL != "" || !strings.HasPrefix(got.Trouble, want) {
		t.Errorf("%+v, want %s", got, want)
	}
	if out, code := m.picket("status"); code != 0 || !strings.Contains(out, "! websocket of manager is closed: "+want) {
		t.Errorf("%d %s", code, out)
	}
	l.Close()
	start := time.Now()
	m.wait("the door opened", func(s *status.Status) bool { return len(webSocketDoors(s)) == 1 && webSocketDoors(s)[0].URL != "" })
	t.Logf("opened after %v", time.Since(start))
	m.picket("stop")
}
