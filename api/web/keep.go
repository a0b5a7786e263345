package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// keepEvery is how often the history is put into its file, besides at the end: so
// much of it is lost with a hub that is killed.
const keepEvery = 30 * time.Second

// maxKept bounds the file: ten minutes of 1,100 workers are 10 MB.
const maxKept = 64 << 20

// kept is the history in its file, a line of JSON. README.md.
type kept struct {
	Run     string                          `json:"run"`
	History keptColumns                     `json:"history"`
	Nodes   map[string]map[string][]float64 `json:"nodes"` // pps, dps
}

// keptColumns are what history.columns returns: lists of the same length.
type keptColumns struct {
	Totals map[string][]float64 `json:"totals"`
	Logs   map[string][]float64 `json:"logs"`
}

// save puts the history into the file that keeps it over a restart of the hub.
func (f *feed) save() error {
	if f.keep == "" {
		return nil
	}
	f.mu.Lock()
	if f.status == nil || len(f.history.all) == 0 {
		f.mu.Unlock()
		return nil
	}
	k := kept{Run: f.status.Run, Nodes: map[string]map[string][]float64{}}
	k.History.Totals, k.History.Logs = f.history.lists()
	for name := range f.history.nodes {
		n := f.history.node(name)
		delete(n, "time") // it is the totals'
		k.Nodes[name] = n
	}
	f.mu.Unlock()
	text, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("keep the dashboard's history: %w", err)
	}
	err = os.WriteFile(f.keep+".new", append(text, '\n'), 0o600)
	if err == nil {
		err = os.Rename(f.keep+".new", f.keep)
	}
	if err != nil {
		return fmt.Errorf("keep the dashboard's history: %w", err)
	}
	return nil
}

// load is the history that the file has of a run; empty where there is none.
func (f *feed) load(run string) (history, error) {
	if f.keep == "" {
		return newHistory(), nil
	}
	if info, err := os.Stat(f.keep); err == nil && info.Size() > maxKept {
		return newHistory(), fmt.Errorf("read the dashboard's history: %s has %d bytes, more than any that we write", f.keep, info.Size())
	}
	text, err := os.ReadFile(f.keep)
	if errors.Is(err, fs.ErrNotExist) {
		return newHistory(), nil
	}
	if err != nil {
		return newHistory(), fmt.Errorf("read the dashboard's history: %w", err)
	}
	h, err := parseKept(text, run, unix(f.now()))
	if err != nil {
		return newHistory(), fmt.Errorf("read the dashboard's history %s: %w", f.keep, err)
	}
	return h, nil
}

// parseKept reads what save wrote. Of another run, or of a time to come, nothing is taken.
func parseKept(text []byte, run string, now float64) (history, error) {
	h := newHistory()
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return h, err
	}
	t := k.History.Totals
	n := len(t["time"])
	if k.Run != run || n == 0 || t["time"][n-1] > now {
		return h, nil
	}
	if n > keptSamples {
		return h, fmt.Errorf("%d samples, where %d are the most", n, keptSamples)
	}
	whole := func(lists ...[]float64) bool {
		for _, l := range lists {
			if len(l) != n {
				return false
			}
		}
		return true
	}
	if !whole(t["pps"], t["dps"], t["rps"], t["wps"], t["queue"], t["memory"], t["cpu"]) {
		return h, errors.New("its lists are not of one length")
	}
	h.all = make([]sample, n, keptSamples)
	for i := range h.all {
		if i > 0 && t["time"][i] < t["time"][i-1] {
			return newHistory(), errors.New("its times go back")
		}
		h.all[i] = sample{
			time: t["time"][i], pps: float32(t["pps"][i]), dps: float32(t["dps"][i]), rps: float32(t["rps"][i]), wps: float32(t["wps"][i]),
			queue: float32(t["queue"][i]), memory: int64(t["memory"][i]), cpu: float32(t["cpu"][i]),
		}
	}
	for path, v := range k.History.Logs {
		if len(h.names) == keptPaths || !whole(v) {
			continue
		}
		at := len(h.names)
		h.paths[path] = at
		h.names = append(h.names, path)
		for i := range h.all {
			h.all[i].logs[at] = float32(v[i])
		}
	}
	for name, v := range k.Nodes {
		if len(h.nodes) == keptNodes || !whole(v["pps"], v["dps"]) {
			continue
		}
		x := &nodeHistory{}
		for i := range n {
			x.pps[i], x.dps[i] = float32(v["pps"][i]), float32(v["dps"][i])
		}
		h.nodes[name] = x
	}
	return h, nil
}
