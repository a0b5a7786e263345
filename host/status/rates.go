package status

import (
	"strings"
	"time"
)

// Rates is what a node does per second, between two looks.
type Rates struct {
	Packets float64 // received
	Dropped float64 // packets
	Records float64 // produced; of a logger, written
	// Load is a worker's packets, as a multiple of the mean of the workers that
	// share its packets. 0: not known, or hardly any packets.
	Load float64
}

// evenEnough is how few packets per second and worker say nothing of the load.
const evenEnough = 10

// RatesOf compares two looks; a node that one of them has not is not in it. The
// second result is the sum.
func RatesOf(s, earlier *Status) (map[string]Rates, Rates) {
	out := map[string]Rates{}
	var all Rates
	if earlier == nil || earlier.Run != s.Run {
		return out, all
	}
	sec := s.Time.Sub(earlier.Time).Seconds()
	if sec < float64(time.Millisecond)/float64(time.Second) {
		return out, all
	}
	was := map[string]*Node{}
	for i := range earlier.Nodes {
		was[earlier.Nodes[i].Name] = &earlier.Nodes[i]
	}
	per := func(now, then uint64) float64 { return max(0, float64(now)-float64(then)) / sec }
	type group struct {
		packets float64
		workers int
	}
	groups := map[string]group{}
	for _, n := range s.Nodes {
		w := was[n.Name]
		if w == nil {
			continue
		}
		r := Rates{Packets: per(n.Received, w.Received), Dropped: per(n.Dropped, w.Dropped), Records: per(n.Produced, w.Produced)}
		all.Packets += r.Packets
		all.Dropped += r.Dropped
		all.Records += r.Records
		if n.Role == "logger" {
			r.Records = per(n.Written, w.Written)
		}
		if n.Role == "worker" && n.State != "done" {
			g := groups[shares(n.Name)]
			groups[shares(n.Name)] = group{g.packets + r.Packets, g.workers + 1}
		}
		out[n.Name] = r
	}
	for _, n := range s.Nodes {
		g := groups[shares(n.Name)]
		r, ok := out[n.Name]
		if !ok || n.Role != "worker" || g.workers < 2 || g.packets < evenEnough*float64(g.workers) {
			continue
		}
		r.Load = r.Packets * float64(g.workers) / g.packets
		out[n.Name] = r
	}
	return out, all
}

// shares names the workers that share packets with this one: worker-2-7 those
// that begin with worker-2.
func shares(name string) string { return name[:max(0, strings.LastIndexByte(name, '-'))] }

// Uneven is the load of a worker above which work is badly spread.
const Uneven = 2

// uneven names the busiest worker, where it has far more than its share.
func uneven(s *Status, rates map[string]Rates) string {
	name, most := "", 0.0
	for _, n := range s.Nodes {
		if l := rates[n.Name].Load; l > most {
			name, most = n.Name, l
		}
	}
	if most < Uneven*0.9 { // two workers cannot have more than twice the mean
		return ""
	}
	return name
}
