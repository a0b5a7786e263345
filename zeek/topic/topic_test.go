package topic_test

import (
	"testing"

	"github.com/picket-nsm/picket/zeek/topic"
)

func TestTopics(t *testing.T) {
	for got, want := range map[string]string{
		topic.Node("worker-1"):                             "zeek.cluster.node.worker-1.",
		topic.NodeID("zeromq_worker-1_h_1_N"):              "zeek.cluster.nodeid.zeromq_worker-1_h_1_N.",
		topic.TableOf("Known::hosts"):                      "zeek/table/Known::hosts/",
		topic.ControlResponse("net_stats", "worker-1"):     "zeek/control/net_stats_response/worker-1",
		topic.Broadcast()[0] + topic.Broadcast()[3]:        topic.Logger + topic.Worker,
		topic.WorkerPool + topic.ProxyPool + topic.Manager: "zeek.cluster.pool.worker" + "zeek.cluster.pool.proxy" + "zeek.cluster.manager",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNodeIDOf(t *testing.T) {
	for in, want := range map[string]string{
		"zeek.cluster.nodeid.a.b.": "a.b", "zeek.cluster.nodeid.": "", "zeek.cluster.nodeid..": "", "zeek.cluster.node.a.": "", "zeek.cluster.nodeid.a": "",
	} {
		id, ok := topic.NodeIDOf(in)
		if ok != (want != "") || ok && id != want {
			t.Errorf("%s: %q %v", in, id, ok)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		sub, topic string
		want       bool
	}{
		{"", "anything", true},
		{"zeek.cluster.worker", "zeek.cluster.worker", true},
		{"zeek.cluster.worker", "zeek.cluster.worker-x", true},
		{topic.Node("worker-1"), topic.Node("worker-10"), false},
		{"zeek.cl", "zeek.cluster.worker", true},
		{"zeek.cluster.worker", "zeek.cluster", false},
	} {
		if got := topic.Match(c.sub, c.topic); got != c.want {
			t.Errorf("%q gets %q: %v", c.sub, c.topic, got)
		}
	}
}

func TestNameOf(t *testing.T) {
	for id, want := range map[string]string{
		"zeromq_worker-1_vm_1573_NkElNf1Irpjq": "worker-1",
		"zeromq_a_worker_1_vm_1573_Nk":         "a_worker_1",
		"zeromq_x_1_2":                         "zeromq_x_1_2",
		"worker-1":                             "worker-1",
		"":                                     "",
		"zeromq____":                           "zeromq____",
	} {
		if got := topic.NameOf(id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
}
