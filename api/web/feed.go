package web

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/host/status"
)

// How often the cluster is looked at: while somebody watches, and else, for the
// history and the times of troubles.
const (
	watched   = time.Second
	unwatched = 5 * time.Second
	slowest   = 3 * time.Second // while somebody watches; the page calls 4 s old
	share     = 4               // times a look's time lie between two
)

// feed looks at the cluster and hands what it sees to all clients. A frame is
// encoded once. A client that has not taken the last frame gets the next one in
// its place: it falls behind by frames, never by memory.
type feed struct {
	memo    *memo
	look    func(*status.Status) (*status.Status, error)
	now     func() time.Time
	src     map[string]Source
	operate bool          // what frames say of rights
	wake    chan struct{} // somebody came
	take    time.Duration // that a client has to take a line
	keep    string        // file of the history; empty: none
	trouble func(error)   // is told what is wrong with it

	mu      sync.Mutex
	clients map[*client]bool
	line    []byte // the last frame
	frame   *Frame
	status  *status.Status
	history history
	closed  bool

	skipped atomic.Uint64 // frames that clients were too slow for
	cut     atomic.Uint64 // clients that took nothing in time
	full    atomic.Uint64 // clients for whom there was no room
}

// client is one open page.
type client struct {
	next chan []byte // room for one
}

func newFeed(src map[string]Source, look func(*status.Status) (*status.Status, error), now func() time.Time) *feed {
	return &feed{
		memo: newMemo(), look: look, now: now, src: src, wake: make(chan struct{}, 1), clients: map[*client]bool{}, history: newHistory(), take: takeTimeout,
		trouble: func(error) {},
	}
}

// run looks until ctx ends.
func (f *feed) run(ctx context.Context) {
	saved := time.Now()
	defer func() { f.told(f.save()) }()
	for {
		begin := time.Now()
		f.step()
		if begin.Sub(saved) > keepEvery {
			saved = begin
			f.told(f.save())
		}
		every := unwatched
		if f.watchers() > 0 {
			// Looking at many nodes of a busy machine must not make it busier.
			every = min(max(watched, share*time.Since(begin)), slowest)
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			f.close()
			return
		case <-f.wake:
			timer.Stop()
			// The last look was at most a second ago, or is now: never two at once.
			f.rest(ctx)
		case <-timer.C:
		}
	}
}

func (f *feed) told(err error) {
	if err != nil {
		f.trouble(err)
	}
}

// rest keeps two looks apart, so that rates mean something.
func (f *feed) rest(ctx context.Context) {
	const least = 500 * time.Millisecond
	st, _ := f.last()
	if st == nil {
		return
	}
	since := f.now().Sub(st.Time)
	if since >= least || since < 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(least - since):
	}
}

// step is one look.
func (f *feed) step() {
	begin := f.now()
	f.mu.Lock()
	last := f.status
	f.mu.Unlock()
	st, err := f.look(last)
	if err != nil {
		f.hand([]byte(`{"error":` + quoted(err.Error()) + "}\n"))
		return
	}
	fr := f.memo.view(st, f.src)
	fr.Took = f.now().Sub(begin).Seconds()
	fr.Operate = f.operate
	line, err := json.Marshal(fr)
	if err != nil {
		return // no value of a frame can fail; a frame less is no harm
	}
	line = append(line, '\n')
	earlier := newHistory()
	if last == nil {
		// The hub has been here before in this run.
		earlier, err = f.load(st.Run)
		f.told(err)
	}
	f.mu.Lock()
	f.status, f.frame, f.line = st, fr, line
	if last != nil && last.Run == st.Run {
		f.history.add(fr) // a first look has no rates
	} else {
		f.history = earlier
	}
	f.mu.Unlock()
	f.hand(line)
}

// hand gives a line to all clients.
func (f *feed) hand(line []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.clients {
		for {
			select {
			case c.next <- line:
			default:
				select {
				case <-c.next:
					f.skipped.Add(1)
				default:
				}
				continue
			}
			break
		}
	}
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return `"?"`
	}
	return string(text)
}

func (f *feed) watchers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.clients)
}

// join makes a client; nil: there is no room. first is what it shall know before.
func (f *feed) join() (c *client, first [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.clients) >= maxFeeds {
		f.full.Add(1)
		return nil, nil
	}
	c = &client{next: make(chan []byte, 1)}
	f.clients[c] = true
	if text, err := json.Marshal(map[string]any{"history": f.history.columns()}); err == nil {
		first = append(first, append(text, '\n'))
	}
	if f.line != nil {
		first = append(first, f.line)
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
	return c, first
}

func (f *feed) leave(c *client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.clients, c)
}

// close ends all clients.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	for c := range f.clients {
		close(c.next)
		delete(f.clients, c)
	}
}

// last returns the last look and its frame; nil: there was none.
func (f *feed) last() (*status.Status, *Frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status, f.frame
}

func (f *feed) counters() map[string]uint64 {
	return map[string]uint64{
		"clients": uint64(f.watchers()), "skipped": f.skipped.Load(), "cut": f.cut.Load(), "full": f.full.Load(),
	}
}

// serve feeds one client until it goes, or takes nothing in time.
func (f *feed) serve(w http.ResponseWriter, r *http.Request) {
	c, first := f.join()
	if c == nil {
		w.Header().Set("Retry-After", "5")
		access.Fail(w, http.StatusServiceUnavailable, "as many pages are open as may be; close one, or use picket status")
		return
	}
	defer f.leave(c)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy before us must not hold lines back
	ctl := http.NewResponseController(w)
	send := func(line []byte) bool {
		_ = ctl.SetWriteDeadline(time.Now().Add(f.take))
		_, err := w.Write(line)
		if err == nil {
			err = ctl.Flush()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			f.cut.Add(1)
		}
		return err == nil
	}
	for _, line := range first {
		if !send(line) {
			return
		}
	}
	for {
		select {
		case line, ok := <-c.next:
			if !ok || !send(line) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// history is what the charts show: the last ten minutes, second by second while
// somebody watched. It is bounded by the number of samples, nodes and logs.
type history struct {
	at    int // where the next one goes, when full
	all   []sample
	paths map[string]int
	names []string // of paths
	nodes map[string]*nodeHistory
}

const (
	keptSamples = 600
	keptFor     = 10 * time.Minute
	keptPaths   = 64
	keptNodes   = 1100
)

type sample struct {
	time                      float64
	pps, dps, rps, wps, queue float32
	memory                    int64
	cpu                       float32
	logs                      [keptPaths]float32
}

type nodeHistory struct {
	pps, dps [keptSamples]float32
}

func newHistory() history {
	return history{paths: map[string]int{}, nodes: map[string]*nodeHistory{}}
}

func (h *history) add(f *Frame) {
	s := sample{
		time: f.Time, pps: float32(f.Totals.PPS), dps: float32(f.Totals.DPS), rps: float32(f.Totals.RPS), wps: float32(f.Totals.WPS),
		queue: float32(f.Totals.Queue), memory: f.Totals.Memory, cpu: float32(f.Totals.CPU),
	}
	for _, l := range f.Logs {
		i, ok := h.paths[l.Path]
		if !ok && len(h.names) < keptPaths {
			i, ok = len(h.names), true
			h.paths[l.Path] = i
			h.names = append(h.names, l.Path)
		}
		if ok {
			s.logs[i] = float32(l.RPS)
		}
	}
	at := len(h.all)
	if at < keptSamples {
		h.all = append(h.all, s)
	} else {
		at = h.at
		h.all[at] = s
		h.at = (h.at + 1) % keptSamples
	}
	for i := range f.Nodes {
		n := &f.Nodes[i]
		if n.Role != "worker" {
			continue
		}
		k := h.nodes[n.Name]
		if k == nil && len(h.nodes) < keptNodes {
			k = &nodeHistory{}
			h.nodes[n.Name] = k
		}
		if k != nil {
			k.pps[at], k.dps[at] = float32(n.PPS), float32(n.DPS)
		}
	}
}

// each calls fn with the index of each sample that is young enough, oldest first.
func (h *history) each(fn func(i int)) {
	n := len(h.all)
	if n == 0 {
		return
	}
	newest := h.all[(h.at+n-1)%n].time
	for k := range n {
		i := (h.at + k) % n
		if h.all[i].time >= newest-keptFor.Seconds() {
			fn(i)
		}
	}
}

// columns are the samples, a list for each kind of value. The history must not change.
func (h *history) columns() map[string]any {
	totals, logs := h.lists()
	return map[string]any{"totals": totals, "logs": logs}
}

// lists are the columns of all nodes together, and of each log.
func (h *history) lists() (out, logs map[string][]float64) {
	out, logs = map[string][]float64{}, map[string][]float64{}
	put := func(name string, v float64) { out[name] = append(out[name], short(v)) }
	h.each(func(i int) {
		s := &h.all[i]
		out["time"] = append(out["time"], s.time)
		put("pps", float64(s.pps))
		put("dps", float64(s.dps))
		put("rps", float64(s.rps))
		put("wps", float64(s.wps))
		put("queue", float64(s.queue))
		put("memory", float64(s.memory))
		put("cpu", float64(s.cpu))
		for k, name := range h.names {
			logs[name] = append(logs[name], short(float64(s.logs[k])))
		}
	})
	return out, logs
}

// node returns one node's columns.
func (h *history) node(name string) map[string][]float64 {
	out := map[string][]float64{"time": {}, "pps": {}, "dps": {}}
	k := h.nodes[name]
	if k == nil {
		return out
	}
	h.each(func(i int) {
		out["time"] = append(out["time"], h.all[i].time)
		out["pps"] = append(out["pps"], short(float64(k.pps[i])))
		out["dps"] = append(out["dps"], short(float64(k.dps[i])))
	})
	return out
}

// short drops digits that no chart shows.
func short(v float64) float64 { return math.Round(v*10) / 10 }
