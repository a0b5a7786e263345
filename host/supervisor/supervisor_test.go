package supervisor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/engine/inproc"
)

// world is a machine of the test: an engine, ledgers, and what happened when.
type world struct {
	t      *testing.T
	engine *inproc.Engine
	begin  time.Time

	mu      sync.Mutex
	ledgers map[string]Observation
	log     []string // "1.5s start worker-1"
	live    map[string]int
	ways    map[string]way
	saved   State
}

// way is how a node of the test behaves, by life.
type way struct {
	boot    time.Duration // until ready
	dies    func(life int) (after time.Duration, code int)
	deaf    bool          // ignores stop
	drain   time.Duration // from stop to end
	silence time.Duration // after that no heartbeat
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, begin: time.Now(), ledgers: map[string]Observation{}, live: map[string]int{}, ways: map[string]way{}}
	w.engine = inproc.New("", w.body)
	return w
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("%s ", time.Since(w.begin).Round(100*time.Millisecond))+fmt.Sprintf(format, args...))
}

// body is a node: it is ready after a while, beats, and ends as its way says.
func (w *world) body(l inproc.Life) int {
	name := l.Spec.Name
	w.note("start %s", name)
	w.mu.Lock()
	w.live[name]++
	if w.live[name] > 1 {
		w.t.Errorf("two copies of %s", name)
	}
	how := w.ways[name]
	pid := 0
	w.mu.Unlock()
	defer func() {
		w.note("end %s", name)
		w.mu.Lock()
		w.live[name]--
		w.mu.Unlock()
	}()
	fmt.Sscan(strings.TrimPrefix(l.Spec.Env[len(l.Spec.Env)-1], "LIFE="), &pid)
	life := pid
	set := func(f func(*Observation)) {
		w.mu.Lock()
		defer w.mu.Unlock()
		o := w.ledgers[name]
		f(&o)
		w.ledgers[name] = o
	}
	set(func(o *Observation) { *o = Observation{PID: -life, Beat: time.Now()} })
	boot := time.NewTimer(how.boot)
	defer boot.Stop()
	var end <-chan time.Time
	code := 0
	if how.dies != nil {
		after, c := how.dies(life)
		if after > 0 {
			t := time.NewTimer(after)
			defer t.Stop()
			end, code = t.C, c
		}
	}
	begin := time.Now()
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	stop := l.Stop
	for {
		select {
		case <-boot.C:
			set(func(o *Observation) { o.Ready = true })
		case <-beat.C:
			if how.silence == 0 || time.Since(begin) < how.silence {
				set(func(o *Observation) { o.Beat = time.Now() })
			}
		case <-end:
			if code == 0 {
				set(func(o *Observation) { o.Ended = true })
			}
			return code
		case <-l.Kill:
			return 0
		case <-stop:
			stop = nil
			if !how.deaf {
				time.Sleep(how.drain)
				set(func(o *Observation) { o.Ended = true })
				return 0
			}
		}
	}
}

// observe maps the life that a ledger names to the process's number.
func (w *world) deps() Deps {
	pids := map[string]int{}
	return Deps{
		Engine: watched{w, pids},
		Observe: func(name string) Observation {
			w.mu.Lock()
			defer w.mu.Unlock()
			o := w.ledgers[name]
			o.PID = pids[name]
			return o
		},
		Prepare: func(s engine.Spec, life int) engine.Spec {
			s.Env = append(slices.Clone(s.Env), fmt.Sprint("LIFE=", life))
			return s
		},
		Save: func(st State) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.saved = st
			return nil
		},
	}
}

// watched notes the numbers that nodes get.
type watched struct {
	w    *world
	pids map[string]int
}

func (e watched) Start(s engine.Spec) (engine.Process, error) {
	e.w.mu.Lock()
	delete(e.w.ledgers, s.Name)
	e.w.mu.Unlock()
	p, err := e.w.engine.Start(s)
	if err == nil {
		e.w.mu.Lock()
		e.pids[s.Name] = p.Handle().PID
		e.w.mu.Unlock()
	}
	return p, err
}

func (e watched) Adopt(name string, h engine.Handle) (engine.Process, error) {
	p, err := e.w.engine.Adopt(name, h)
	if err == nil {
		e.pids[name] = h.PID
	}
	return p, err
}

// cluster is hub, two loggers, manager, proxy and two workers.
func cluster() Config {
	c := DefaultConfig()
	for _, n := range []string{"worker-2", "worker-1", "manager", "hub", "proxy-1", "logger-1", "logger-2"} {
		role, _, _ := strings.Cut(n, "-")
		c.Nodes = append(c.Nodes, Node{Spec: engine.Spec{Name: n, Role: role}})
	}
	return c
}

// run starts a supervisor and returns how to end it and learn its verdict.
func (w *world) run(cfg Config, earlier State) (*Supervisor, func() error, context.CancelFunc) {
	s := New(cfg, w.deps(), earlier)
	ctx, cancel := context.WithCancel(context.Background())
	res := make(chan error, 1)
	go func() { res <- s.Run(ctx) }()
	return s, func() error { return <-res }, cancel
}

func (w *world) lines(verb string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, l := range w.log {
		if strings.Contains(l, " "+verb+" ") {
			out = append(out, l)
		}
	}
	return out
}

// ranks turns "start worker-1" lines into the order of roles.
func ranks(lines []string) []int {
	var out []int
	for _, l := range lines {
		f := strings.Fields(l)
		role, _, _ := strings.Cut(f[2], "-")
		out = append(out, rank(role))
	}
	return out
}

// when is the time at the beginning of such a line.
func when(line string) time.Duration {
	d, _ := time.ParseDuration(strings.Fields(line)[0])
	return d
}

func find(st State, name string) NodeState {
	for _, n := range st.Nodes {
		if n.Name == name {
			return n
		}
	}
	return NodeState{}
}

func said(st State, text string) bool {
	return slices.ContainsFunc(st.Events, func(e Event) bool { return strings.Contains(e.Node+": "+e.Text, text) })
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, n := range []string{"hub", "logger-1", "logger-2", "manager", "proxy-1"} {
			w.ways[n] = way{boot: time.Second, drain: time.Second}
		}
		s, verdict, cancel := w.run(cluster(), State{})
		time.Sleep(10 * time.Second)
		if st := s.State(); st.Phase != PhaseUp {
			t.Errorf("phase %s after 10 s: %+v", st.Phase, st)
		}
		starts := w.lines("start")
		if r := ranks(starts); !slices.IsSorted(r) || len(r) != 7 {
			t.Errorf("start order:\n%s", strings.Join(starts, "\n"))
		}
		// Each group waits for the one before to be ready, which takes a second.
		for i := 1; i < len(starts); i++ {
			gap := when(starts[i]) - when(starts[i-1])
			if apart := ranks(starts)[i] != ranks(starts)[i-1]; apart != (gap >= time.Second) && i < 6 {
				t.Errorf("%q then %q", starts[i-1], starts[i])
			}
		}
		cancel()
		if err := verdict(); err != nil {
			t.Error(err)
		}
		ends := ranks(w.lines("end"))
		slices.Reverse(ends)
		if !slices.IsSorted(ends) || len(ends) != 7 {
			t.Errorf("stop order: %s", strings.Join(w.lines("end"), "\n"))
		}
		if st := s.State(); st.Phase != PhaseStopped || find(st, "hub").Phase != Stopped {
			t.Errorf("state at the end: %+v", st)
		}
	})
}

func TestLateNodeIsNamedAndTheOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ways["logger-2"] = way{boot: time.Hour}
		s, verdict, cancel := w.run(cluster(), State{})
		time.Sleep(29 * time.Second)
		if n := len(w.lines("start")); n != 3 {
			t.Errorf("%d nodes started while a logger was not ready", n)
		}
		time.Sleep(5 * time.Second)
		st := s.State()
		if !said(st, "logger-2: not ready after 30s") || !find(st, "logger-2").Late || find(st, "worker-1").Phase != Ready {
			t.Errorf("state: %+v", st)
		}
		cancel()
		if err := verdict(); err != nil {
			t.Error(err)
		}
	})
}

// A node that dies again and again must not keep the others waiting for ever.
func TestDyingNodeIsNamedAndTheOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ways["logger-2"] = way{boot: time.Hour, dies: func(int) (time.Duration, int) { return time.Second, 1 }}
		s, verdict, cancel := w.run(cluster(), State{})
		time.Sleep(29 * time.Second)
		if find(s.State(), "worker-1").Phase != Waiting {
			t.Error("workers started before the loggers' time was over")
		}
		time.Sleep(40 * time.Second)
		st := s.State()
		if !said(st, "logger-2: not ready after 30s") || find(st, "worker-1").Phase != Ready || st.Phase != PhaseUp {
			t.Errorf("state: %+v", st)
		}
		cancel()
		if err := verdict(); err != nil {
			t.Error(err)
		}
	})
}

// What drains needs somebody to drain to.
func TestLoggerThatDiesWhileOthersDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ways["worker-1"] = way{drain: 8 * time.Second}
		once := func(after time.Duration) func(int) (time.Duration, int) {
			return func(life int) (time.Duration, int) {
				if life > 1 {
					return 0, 0
				}
				return after, 1
			}
		}
		w.ways["logger-1"] = way{dies: once(12 * time.Second)}
		w.ways["hub"] = way{dies: once(13 * time.Second)}
		w.ways["proxy-1"] = way{dies: once(14 * time.Second)}
		s, verdict, cancel := w.run(cluster(), State{})
		time.Sleep(10 * time.Second)
		cancel()
		if err := verdict(); err != nil {
			t.Error(err)
		}
		count := map[string]int{}
		for _, l := range w.lines("start") {
			count[strings.Fields(l)[2]]++
		}
		if count["logger-1"] != 2 || count["hub"] != 2 || count["proxy-1"] != 1 || count["worker-1"] != 1 {
			t.Errorf("starts: %v", count)
		}
		if st := s.State(); st.Phase != PhaseStopped || find(st, "logger-1").Phase != Stopped || find(st, "hub").Phase != Stopped {
			t.Errorf("state at the end: %+v", st)
		}
	})
}

func TestBackoff(t *testing.T) {
	b := Backoff{First: time.Second, Max: time.Minute}
	var got []string
	for f := 1; f <= 10; f++ {
		got = append(got, b.Delay(f).String())
	}
	if s := strings.Join(got, " "); s != "0s 1s 2s 4s 8s 16s 32s 1m0s 1m0s 1m0s" {
		t.Error(s)
	}
	if d := b.Delay(1 << 30); d != time.Minute {
		t.Error(d)
	}
}

func TestRestartWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		// Five lives of a second, then a long one, then short ones again.
		w.ways["worker-1"] = way{dies: func(life int) (time.Duration, int) {
			if life == 6 {
				return 5 * time.Minute, 1
			}
			return time.Second, 7
		}}
		s, verdict, cancel := w.run(cluster(), State{})
		time.Sleep(25 * time.Second)
		n := find(s.State(), "worker-1")
		if n.Restarts != 5 || n.Fails != 5 || n.LastExit == nil || n.LastExit.Code != 7 {
			t.Errorf("after five deaths: %+v", n)
		}
		time.Sleep(5*time.Minute - 4*time.Second)
		var starts []time.Duration
		for _, l := range w.lines("start") {
			if strings.HasSuffix(l, " worker-1") {
				starts = append(starts, when(l))
			}
		}
		if len(starts) < 7 {
			t.Fatalf("starts at %v", starts)
		}
		// A life lasts 1 s; delays are 0, 1, 2, 4, 8 s, looked at four times a second.
		for i, want := range []time.Duration{1, 2, 3, 5, 9} {
			if gap := starts[i+1] - starts[i]; gap < want*time.Second-time.Millisecond || gap > want*time.Second+600*time.Millisecond {
				t.Errorf("gap %d: %s, want %ds; starts at %v", i, gap, want, starts)
			}
		}
		// After five healthy minutes the next death is the first again.
		if gap := starts[6] - starts[5]; gap > 5*time.Minute+600*time.Millisecond {
			t.Errorf("restart after a healthy life came after %s", gap)
		}
		cancel()
		if err := verdict(); err != nil {
			t.Error(err)
		}
	})
}

func TestDeadlineKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ways["worker-2"] = way{deaf: true}
		s, verdict, cancel := w.run(cluster(), State{})
		time.Sleep(time.Second)
		cancel()
		err := verdict()
		if err == nil || err.Error() != "worker-2 did not end within 15s and was killed" {
			t.Errorf("verdict: %v", err)
		}
		st := s.State()
		if !find(st, "worker-2").Killed || find(st, "worker-1").Killed || find(st, "worker-2").LastExit.Signal != 9 {
			t.Errorf("state: %+v", st)
		}
		if ends := w.lines("end"); !strings.HasSuffix(ends[0], "worker-1") || !strings.HasSuffix(ends[1], "worker-2") {
			t.Errorf("the others must wait for the deaf one: %v", ends)
		}
	})
}

func TestKillAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, n := range []string{"hub", "worker-1"} {
			w.ways[n] = way{deaf: true}
		}
		s, verdict, cancel := w.run(cluster(), State{})
		defer cancel()
		time.Sleep(time.Second)
		from := time.Now()
		if err := s.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := verdict(); err != nil || time.Since(from) > 5*time.Second {
			t.Errorf("after %s: %v", time.Since(from), err)
		}
		if err := s.Stop(t.Context()); err != ErrNotRunning {
			t.Errorf("stop after the end: %v", err)
		}
	})
}

func TestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ways["proxy-1"] = way{silence: 5 * time.Second}
		s, verdict, cancel := w.run(cluster(), State{})
		time.Sleep(10 * time.Second)
		if p := find(s.State(), "proxy-1").Phase; p != Ready {
			t.Errorf("phase %s with a heartbeat of 5 s ago", p)
		}
		time.Sleep(10 * time.Second)
		st := s.State()
		if p := find(st, "proxy-1").Phase; p != Hangs || !said(st, "proxy-1: hangs: no heartbeat for") {
			t.Errorf("phase %s with a heartbeat of 15 s ago", p)
		}
		cancel()
		_ = verdict()
	})
}

func TestRestartOnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ways["logger-1"] = way{drain: 2 * time.Second}
		s, verdict, cancel := w.run(cluster(), State{})
		time.Sleep(time.Second)
		if err := s.Restart(t.Context(), "logger-1"); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(t.Context(), "logger-9"); err == nil || err.Error() != "restart logger-9: no such node" {
			t.Errorf("restart of nobody: %v", err)
		}
		time.Sleep(5 * time.Second)
		n := find(s.State(), "logger-1")
		if n.Phase != Ready || n.Restarts != 1 || n.Fails != 0 || n.Life != 2 {
			t.Errorf("after restart: %+v", n)
		}
		cancel()
		if err := verdict(); err != nil {
			t.Error(err)
		}
	})
}

func once(c Config) Config {
	for i := range c.Nodes {
		c.Nodes[i].Once = c.Nodes[i].Role == "worker"
	}
	return c
}

func TestEndsWhenTheWorkIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ways["worker-1"] = way{dies: func(int) (time.Duration, int) { return 5 * time.Second, 0 }}
		w.ways["worker-2"] = way{dies: func(life int) (time.Duration, int) { return 2 * time.Second, 2 - life }} // fails first
		s, verdict, cancel := w.run(once(cluster()), State{})
		defer cancel()
		if err := verdict(); err != nil {
			t.Error(err)
		}
		st := s.State()
		if find(st, "worker-1").Phase != Done || find(st, "worker-2").Phase != Done || find(st, "worker-2").Restarts != 1 {
			t.Errorf("state: %+v", st)
		}
		if !said(st, "all work is done") {
			t.Errorf("events: %+v", st.Events)
		}
	})
}

func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, n := range []string{"worker-1", "worker-2"} {
			w.ways[n] = way{dies: func(int) (time.Duration, int) { return time.Millisecond, 1 }}
		}
		s, verdict, cancel := w.run(once(cluster()), State{})
		defer cancel()
		err := verdict()
		if err == nil || !strings.Contains(err.Error(), "worker-1 failed 5 times in a row, last: exit code 1") {
			t.Errorf("verdict: %v", err)
		}
		if p := find(s.State(), "worker-2").Phase; p != Failed {
			t.Errorf("phase %s", p)
		}
	})
}

// abandon ends a supervisor as SIGKILL would: its nodes go on.
func (w *world) abandoned(cfg Config) State {
	s := New(cfg, w.deps(), State{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.waitCtx = ctx
	for range 100 {
		s.step(time.Now())
		time.Sleep(100 * time.Millisecond)
	}
	s.save()
	cancel()
	s.waiters.Wait()
	return w.saved
}

func TestAdopts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		saved := w.abandoned(cluster())
		if n := len(w.lines("start")); n != 7 {
			t.Fatalf("%d started", n)
		}
		cfg := cluster()
		// worker-2 is wanted otherwise, logger-2 not at all, worker-3 is new.
		cfg.Nodes[0].Node.Capture.Interface = "eth9"
		cfg.Nodes[6] = Node{Spec: engine.Spec{Name: "worker-3", Role: "worker"}}
		s, verdict, cancel := w.run(cfg, saved)
		time.Sleep(5 * time.Second)
		st := s.State()
		for _, name := range []string{"hub", "manager", "proxy-1", "logger-1", "worker-1"} {
			n := find(st, name)
			if !n.Adopted || n.Phase != Ready || n.Handle != find(saved, name).Handle || n.Life != 1 {
				t.Errorf("%s was not adopted: %+v", name, n)
			}
		}
		if n := find(st, "worker-2"); n.Adopted || n.Phase != Ready {
			t.Errorf("worker-2: %+v", n)
		}
		for _, text := range []string{
			"logger-2: stopping the one with pid", "it is not in the configuration any more",
			"worker-2: stopping the one with pid", "its configuration has changed",
		} {
			if !said(st, text) {
				t.Errorf("nobody said %q: %+v", text, st.Events)
			}
		}
		if n := len(w.lines("start")); n != 9 {
			t.Errorf("%d starts in all, want 9:\n%s", n, strings.Join(w.log, "\n"))
		}
		cancel()
		if err := verdict(); err != nil {
			t.Error(err)
		}
	})
}

func TestAdoptsWhatIsHalfDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ways["worker-1"] = way{dies: func(int) (time.Duration, int) { return time.Second, 0 }}
		w.ways["worker-2"] = way{dies: func(int) (time.Duration, int) { return time.Minute, 0 }}
		cfg := once(cluster())
		saved := func() State {
			s := New(cfg, w.deps(), State{})
			ctx, cancel := context.WithCancel(context.Background())
			s.waitCtx = ctx
			for range 100 {
				s.step(time.Now())
				select {
				case x := <-s.exits:
					s.exit(x, time.Now())
				case <-time.After(100 * time.Millisecond):
				}
			}
			s.save()
			cancel()
			s.waiters.Wait()
			return w.saved
		}()
		if find(saved, "worker-1").Phase != Done {
			t.Fatalf("not half done: %+v", saved)
		}
		s, verdict, cancel := w.run(cfg, saved)
		defer cancel()
		if err := verdict(); err != nil {
			t.Error(err)
		}
		if n := find(s.State(), "worker-1"); n.Life != 1 || n.Phase != Done {
			t.Errorf("what was done began again: %+v", n)
		}
		if n := len(w.lines("start")); n != 7 {
			t.Errorf("%d starts", n)
		}
	})
}

func TestStopsWhatItFinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		saved := w.abandoned(cluster())
		// One ends while no supervisor looks: it must not come back.
		i := slices.IndexFunc(saved.Nodes, func(n NodeState) bool { return n.Name == "worker-1" })
		p, err := w.engine.Adopt("worker-1", saved.Nodes[i].Handle)
		if err != nil {
			t.Fatal(err)
		}
		_ = p.Kill()
		_, _ = p.Wait(t.Context())
		cfg := DefaultConfig()
		cfg.StopFound = true
		for _, n := range saved.Nodes {
			cfg.Nodes = append(cfg.Nodes, Node{Spec: engine.Spec{Name: n.Name, Role: n.Role}})
		}
		s, verdict, cancel := w.run(cfg, saved)
		defer cancel()
		if err := verdict(); err != nil {
			t.Error(err)
		}
		if n := len(w.lines("start")); n != 7 {
			t.Errorf("%d starts, want those of the first supervisor", n)
		}
		ends := ranks(w.lines("end")[1:])
		slices.Reverse(ends)
		if len(ends) != 6 || !slices.IsSorted(ends) {
			t.Errorf("stop order:\n%s", strings.Join(w.lines("end"), "\n"))
		}
		if st := s.State(); st.Phase != PhaseStopped || len(st.Nodes) != 7 {
			t.Errorf("%+v", st)
		}
	})
}
