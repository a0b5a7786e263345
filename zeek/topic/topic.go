// Package topic holds the names that cluster messages are published under, as
// Zeek's ZeroMQ backend spells them (wire.md section 4.2), and the rule by
// which a subscription matches.
//
// Topics are any bytes. A subscription matches every topic that begins with
// it, so the topic of one node ends in a separator: worker-1 must not match
// worker-10. Everything here is constants and pure functions.
package topic

import "strings"

// Class topics: all nodes of a role.
const (
	Logger  = "zeek.cluster.logger"
	Manager = "zeek.cluster.manager"
	Proxy   = "zeek.cluster.proxy"
	Worker  = "zeek.cluster.worker"
)

// Pools of nodes of a role, for round robin and rendezvous hashing.
const (
	LoggerPool = "zeek.cluster.pool.logger"
	ProxyPool  = "zeek.cluster.pool.proxy"
	WorkerPool = "zeek.cluster.pool.worker"
)

// Topics that have slashes on every backend.
const (
	Table      = "zeek/table/"                       // prefix: changes of shared tables
	Control    = "zeek/control"                      // requests to nodes, and prefix of their replies
	Supervisor = "zeek/supervisor"                   // the supervisor's control
	Started    = "zeek/cluster/experimental/started" // the cluster is complete
)

const (
	nodePrefix   = "zeek.cluster.node."
	nodeIDPrefix = "zeek.cluster.nodeid."
)

// Broadcast returns the class topics: a message to all goes to each.
func Broadcast() [4]string { return [4]string{Logger, Manager, Proxy, Worker} }

// Node returns the topic of the node with that name.
func Node(name string) string { return nodePrefix + name + "." }

// NodeID returns the topic of one life of a node.
func NodeID(id string) string { return nodeIDPrefix + id + "." }

// NodeIDOf returns the id that a NodeID topic is for. Zeek learns from
// subscriptions to these who is there.
func NodeIDOf(topic string) (id string, ok bool) {
	id, ok = strings.CutPrefix(topic, nodeIDPrefix)
	if !ok {
		return "", false
	}
	id, ok = strings.CutSuffix(id, ".")
	return id, ok && id != ""
}

// NameOf finds the node's name in its id, zeromq_NAME_HOST_PID_UNIQUE. Other ids
// are names as they are.
func NameOf(id string) string {
	name, ok := strings.CutPrefix(id, "zeromq_")
	if !ok {
		return id
	}
	for range 3 {
		i := strings.LastIndexByte(name, '_')
		if i <= 0 {
			return id
		}
		name = name[:i]
	}
	return name
}

// TableOf returns the topic of a shared table's changes, by its script identifier.
func TableOf(id string) string { return Table + id + "/" }

// ControlResponse returns the topic that a node's answer to a control command goes to.
func ControlResponse(command, node string) string {
	return Control + "/" + command + "_response/" + node
}

// Class is the class of a topic under which events are counted: the topic itself,
// without what names a single node.
func Class(topic string) string {
	for _, p := range []string{nodePrefix, nodeIDPrefix, "zeek.zeromq.internal."} {
		if strings.HasPrefix(topic, p) {
			return p
		}
	}
	if len(topic) > maxClass {
		topic = topic[:maxClass]
	}
	return strings.ToValidUTF8(topic, "?")
}

const maxClass = 128 // bytes

// Match reports whether a subscription gets a topic.
func Match(subscription, topic string) bool { return strings.HasPrefix(topic, subscription) }
