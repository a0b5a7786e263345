package telemetry

import (
	"maps"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/picket-nsm/picket/host/hub"
	"github.com/picket-nsm/picket/internal/ledger"
)

// own is a ledger counter and what it is called here.
type own struct {
	counter, name, help string
	gauge               bool
	label               label // none: its name is empty
}

// owns are all counters of a fixed name.
func owns() []own {
	batches := "Batches of records by what happened to them."
	return []own{
		{ledger.PacketsAnalyzed, "picket_packets_analyzed_total", "Packets gone through all analyzers.", false, label{}},
		{ledger.FlowsOpen, "picket_flows_open", "Connections now.", true, label{}},
		{ledger.RecordsProduced, "picket_records_produced_total", "Rows taken from policy.", false, label{}},
		{ledger.RecordsBatched, "picket_records_batched_total", "Rows in batches that have a number.", false, label{}},
		{ledger.RecordsAcked, "picket_records_acked_total", "Rows whose batch a logger acknowledged.", false, label{}},
		{ledger.RecordsVetoed, "picket_records_vetoed_total", "Rows that a hook vetoed.", false, label{}},
		{ledger.RecordsLimited, "picket_records_limited_total", "Rows with a field cut to the limits.", false, label{}},
		{ledger.BatchesMade, "picket_batches_total", batches, false, label{"what", "made"}},
		{ledger.BatchesSent, "picket_batches_total", batches, false, label{"what", "sent"}},
		{ledger.BatchesResent, "picket_batches_total", batches, false, label{"what", "resent"}},
		{ledger.BatchesMoved, "picket_batches_total", batches, false, label{"what", "moved"}},
		{ledger.BatchesReceived, "picket_batches_total", batches, false, label{"what", "received"}},
		{ledger.BatchesWritten, "picket_batches_total", batches, false, label{"what", "written"}},
		{ledger.BatchesDouble, "picket_batches_total", batches, false, label{"what", "double"}},
		{ledger.BatchesRefused, "picket_batches_total", batches, false, label{"what", "refused"}},
		{ledger.BatchesOpen, "picket_batches_open", "Batches without an answer yet.", true, label{}},
		{ledger.QueueShip, "picket_queue_batches", "Batches that wait: for a logger, or to be written.", true, label{"queue", "ship"}},
		{ledger.QueueLogger, "picket_queue_batches", "Batches that wait: for a logger, or to be written.", true, label{"queue", "logger"}},
		{"bus.queued", "picket_bus_queued", "Messages that wait for the connection to the bus.", true, label{}},
		{"bus.reconnects", "picket_bus_reconnects_total", "Times that the connection to the bus came back.", false, label{}},
		{"bus.batches.sent", "picket_bus_batches_sent_total", "Batches handed to the bus.", false, label{}},
		{hub.Clients, "picket_bus_clients", "Connections to the hub.", true, label{}},
		{hub.Subscriptions, "picket_bus_subscriptions", "Subscriptions at the hub.", true, label{}},
		{hub.Slow, "picket_bus_slow_total", "Connections that the hub cut as they did not keep up.", false, label{}},
		{hub.MessagesIn, "picket_bus_messages_total", "Messages through the hub.", false, label{"direction", "in"}},
		{hub.MessagesOut, "picket_bus_messages_total", "Messages through the hub.", false, label{"direction", "out"}},
		{hub.BytesIn, "picket_bus_bytes_total", "Bytes through the hub.", false, label{"direction", "in"}},
		{hub.BytesOut, "picket_bus_bytes_total", "Bytes through the hub.", false, label{"direction", "out"}},
		{ledger.WriteErrors, "picket_write_errors_total", "Writes to log files that failed.", false, label{}},
		{ledger.FilesRotated, "picket_files_rotated_total", "Log files put aside.", false, label{}},
		{ledger.FilesRepaired, "picket_files_repaired_total", "Torn ends of log files cut.", false, label{}},
		{ledger.Overflow, "picket_ledger_overflow", "Whatever found no room in the ledger's table of counters.", true, label{}},
		{"websocket.clients", "picket_websocket_clients", "Clients of the WebSocket API.", true, label{}},
		{"websocket.subscriptions", "picket_websocket_subscriptions", "Topics that WebSocket clients are subscribed to.", true, label{}},
		{"control.requests", "picket_control_requests_total", "Requests at the control door.", false, label{}},
		{"control.operations", "picket_control_operations_total", "Operations asked for at the control door, refused ones too.", false, label{}},
		{"web.requests", "picket_web_requests_total", "Requests at the dashboard.", false, label{}},
		{"web.operations", "picket_web_operations_total", "Operations asked for at the dashboard, refused ones too.", false, label{}},
		{"websocket.slowed", "picket_websocket_slowed_total", "Times that a WebSocket client was slowed.", false, label{}},
	}
}

// prefixed are families of counters whose last part is a label's value.
func prefixed() []own {
	return []own{
		{"packets.dropped.", "picket_packets_dropped_total", "Packets that were not analyzed, by reason.", false, label{name: "reason"}},
		{"flow.shed.", "picket_flow_shed_total", "What the flow table gave up as a limit was reached.", false, label{name: "what"}},
		{"flow.stopped.", "picket_flow_stopped_total", "Packets that stopped before the transport layer, by where.", false, label{name: "at"}},
		{"events.produced.", "picket_events_produced_total", "Events that the node published, by class of topic.", false, label{name: "topic"}},
		{"events.refused.", "picket_events_refused_total", "Events that the node could not publish: its queue was full, or they were too large.", false, label{name: "topic"}},
		{"events.delivered.", "picket_events_delivered_total", "Events that arrived at the node.", false, label{name: "topic"}},
		{"events.lost.", "picket_events_lost_total", "Events of other Picket nodes that never arrived, by their numbers.", false, label{name: "topic"}},
		{"events.unheard.", "picket_events_unheard_total", "Events that others had published before the first that arrived.", false, label{name: "topic"}},
		{"bus.dropped.", "picket_bus_dropped_total", "Messages that the connection to the bus dropped.", false, label{name: "reason"}},
		{"websocket.dropped.", "picket_websocket_dropped_total", "Events that did not reach a WebSocket client.", false, label{name: "reason"}},
		{"websocket.refused.", "picket_websocket_refused_total", "What the WebSocket API refused.", false, label{name: "reason"}},
		{"web.refused.", "picket_web_refused_total", "What the dashboard refused.", false, label{name: "reason"}},
		{"control.refused.", "picket_control_refused_total", "What the control door refused.", false, label{name: "reason"}},
		{"websocket.app.in.", "zeek_cluster_websocket_incoming_events_total", "Events from WebSocket clients.", false, label{name: "app"}},
		{"websocket.app.out.", "zeek_cluster_websocket_outgoing_events_total", "Events to WebSocket clients.", false, label{name: "app"}},
		{"websocket.closed.", "picket_websocket_closed_total", "WebSocket connections closed, by code.", false, label{name: "code"}},
	}
}

// shown are counters that other families carry.
func shown(name string) bool {
	for _, p := range []string{"packets.received", "packets.position", "packets.time", "packets.lag", "bytes.received", "records.written", "bus.events.", "websocket.events.", "flow.active.", "flow.total.", "flow.timers"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// families are the metrics of a snapshot.
func families(s *Snapshot, version string) []*dto.MetricFamily {
	b := newBuilder()
	fixed := map[string]own{}
	for _, o := range owns() {
		fixed[o.counter] = o
	}
	prefixes := prefixed()
	b.gauge("picket_build_info", "The program that serves this.", 1, label{"version", version})
	b.gauge("picket_snapshot_timestamp_seconds", "When the nodes were looked at.", float64(s.Time.UnixNano())/1e9)
	b.gauge("picket_snapshot_duration_seconds", "How long it took to look at the nodes.", s.Took.Seconds())
	if s.Supervised {
		b.gauge("picket_supervisor_up", "Whether the supervisor lives.", truth(!s.Orphaned), label{"cluster", s.Cluster})
		b.gauge("picket_records_lost", "Rows that died with a process, settled from the ledgers.", float64(s.Lost), label{"cluster", s.Cluster})
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		b.node(n)
		b.zeekNames(n)
		b.counters(n, fixed, prefixes)
	}
	return b.sorted()
}

func (b *builder) node(n *Node) {
	node, role := label{"node", n.Name}, label{"role", n.Role}
	b.gauge("picket_node_up", "Whether the node's process runs and its heart beats.", truth(n.Up), node, role)
	b.gauge("picket_node_ready", "Whether the node does what it is for.", truth(n.Ready), node, role)
	b.gauge("picket_node_state", "1 for the state that the node is in.", 1, node, role, label{"state", n.State})
	b.counter("picket_node_restarts_total", "Restarts in this run.", float64(n.Restarts), node, role)
	if n.Up {
		b.gauge("picket_node_heartbeat_age_seconds", "Age of the node's last heartbeat.", n.Beat.Seconds(), node, role)
		b.gauge("picket_node_pss_bytes", "Memory, shared pages divided among their users.", float64(n.PSS), node, role)
	}
}

// counters adds all of a node's ledger: what has no name of its own is under
// picket_ledger_value, so that nothing that is counted stays unseen.
func (b *builder) counters(n *Node, fixed map[string]own, prefixes []own) {
	type log struct{ produced, written, tooLarge uint64 }
	logs := map[string]*log{}
	logger := n.Role == "logger"
	for _, name := range slices.Sorted(maps.Keys(n.Total)) {
		v := n.Total[name]
		node := label{"node", n.Name}
		if rest, ok := strings.CutPrefix(name, "log."); ok {
			path, what, ok := logCounter(rest)
			if !ok {
				continue
			}
			l := logs[path]
			if l == nil {
				l = &log{}
				logs[path] = l
			}
			switch {
			case what == "produced":
				l.produced = v
			case what == "written":
				l.written = v
			case what == "acked": // picket_records_acked_total has the sum
			default:
				stage, reason, _ := strings.Cut(strings.TrimPrefix(what, "dropped."), ".")
				if reason == ledger.ReasonTooLarge {
					l.tooLarge += v
				}
				b.counter("picket_records_dropped_total", "Rows dropped, by where and why.", float64(v),
					node, label{"path", path}, label{"stage", stage}, label{"reason", reason})
			}
			continue
		}
		if o, ok := fixed[name]; ok {
			b.own(n, o, v)
			continue
		}
		if i := slices.IndexFunc(prefixes, func(o own) bool { return strings.HasPrefix(name, o.counter) }); i >= 0 {
			o := prefixes[i]
			o.label.value, o.counter = name[len(o.counter):], name
			b.own(n, o, v)
			continue
		}
		if strings.HasPrefix(name, "zeek_") { // the hub's broker counts under Zeek's names
			b.counter(name, "As Zeek's.", float64(v), node)
			continue
		}
		if !shown(name) {
			b.gauge("picket_ledger_value", "Counters that have no name of their own.", float64(v), node, label{"name", name})
		}
	}
	for _, path := range slices.Sorted(maps.Keys(logs)) {
		l := logs[path]
		if logger {
			b.zeekLog(n, path, l.written, l.tooLarge, false)
			b.counter("picket_records_written_total", "Rows that the logger wrote.", float64(l.written), label{"node", n.Name}, label{"path", path})
			continue
		}
		b.zeekLog(n, path, l.produced, l.tooLarge, true)
	}
}

func (b *builder) own(n *Node, o own, v uint64) {
	labels := []label{{"node", n.Name}}
	if o.label.name != "" {
		labels = append(labels, o.label)
	}
	if o.gauge {
		b.gauge(o.name, o.help, float64(n.Life[o.counter]), labels...)
		return
	}
	b.counter(o.name, o.help, float64(v), labels...)
}

// logCounter takes PATH.produced and the like apart. A path may hold dots.
func logCounter(rest string) (path, what string, ok bool) {
	if i := strings.LastIndex(rest, ".dropped."); i > 0 {
		return rest[:i], rest[i+1:], true
	}
	i := strings.LastIndexByte(rest, '.')
	if i <= 0 {
		return "", "", false
	}
	what = rest[i+1:]
	return rest[:i], what, what == "produced" || what == "written" || what == "acked"
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
