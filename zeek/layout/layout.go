// Package layout says which nodes a cluster has: names, roles, addresses,
// ports. It reads and writes Zeek's cluster-layout.zeek.
//
// It stands between configuration and everything that starts, finds or names
// nodes: one Layout crosses these steps, and no later step reads a file again.
// It is data and pure functions: it opens no file, resolves no name, keeps no
// state. The formats are in docs/formats/layout.md.
package layout

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// Role is what a node does. The order is Zeek's Cluster::NodeType.
type Role uint8

// Zeek's roles.
const (
	None Role = iota
	Control
	Logger
	Manager
	Proxy
	Worker
)

var roleNames = [...]string{"none", "control", "logger", "manager", "proxy", "worker"}

// String returns the role in lower case: worker.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return "none"
}

// ParseRole reads a role in any case: worker, WORKER.
func ParseRole(s string) (Role, bool) {
	for i, name := range roleNames {
		if strings.EqualFold(s, name) {
			return Role(i), true
		}
	}
	return None, false
}

// MarshalText writes the role in lower case.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a role in any case.
func (r *Role) UnmarshalText(b []byte) error {
	v, ok := ParseRole(string(b))
	if !ok {
		return fmt.Errorf("unknown role %q", b)
	}
	*r = v
	return nil
}

// Node is one process of the cluster.
type Node struct {
	Name        string `json:"name"`
	Role        Role   `json:"role"`
	Addr        string `json:"addr,omitempty"`         // as a layout file has it: 127.0.0.1, [::1]
	Host        string `json:"host,omitempty"`         // name to look the address up by, where Addr is empty
	Port        int    `json:"port,omitempty"`         // 0: it listens on none
	Manager     string `json:"manager,omitempty"`      // name of its manager
	MetricsPort int    `json:"metrics_port,omitempty"` // 0: no metrics
	Zone        string `json:"zone,omitempty"`         // Zeek's zone_id
	ID          string `json:"id,omitempty"`           // Zeek's id: set at run time, seldom in a file
}

// IP returns the address. A node that has a Host instead gives an error.
func (n Node) IP() (netip.Addr, error) {
	if n.Addr == "" {
		return netip.Addr{}, fmt.Errorf("node %s: address of host %s is not known", n.Name, n.Host)
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(n.Addr, "["), "]"))
	if err != nil {
		return a, fmt.Errorf("node %s: %w", n.Name, err)
	}
	return a, nil
}

// Layout is the nodes of a cluster in the order of their file.
type Layout struct {
	Nodes           []Node `json:"nodes"`
	ManagerIsLogger bool   `json:"manager_is_logger"` // the manager writes the logs
}

// Node returns the node of that name.
func (l *Layout) Node(name string) (Node, bool) {
	for _, n := range l.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// Role returns the nodes of a role, in the order of the file.
func (l *Layout) Role(r Role) []Node {
	var out []Node
	for _, n := range l.Nodes {
		if n.Role == r {
			out = append(out, n)
		}
	}
	return out
}

// Manager returns the manager; false if there is none.
func (l *Layout) Manager() (Node, bool) {
	if m := l.Role(Manager); len(m) > 0 {
		return m[0], true
	}
	return Node{}, false
}

// Loggers returns the nodes that write logs: the loggers, and the manager if it is one.
func (l *Layout) Loggers() []Node {
	out := l.Role(Logger)
	if m, ok := l.Manager(); ok && l.ManagerIsLogger {
		out = append(out, m)
	}
	return out
}

// Proxies returns the proxies.
func (l *Layout) Proxies() []Node { return l.Role(Proxy) }

// Workers returns the workers.
func (l *Layout) Workers() []Node { return l.Role(Worker) }

// Names returns the names of all nodes, in the order of the file.
func (l *Layout) Names() []string {
	out := make([]string, len(l.Nodes))
	for i, n := range l.Nodes {
		out[i] = n.Name
	}
	return out
}

// Validate reports what would keep a cluster from working: names twice or
// unfit for a folder and a topic, two managers, a manager that is not there,
// ports and addresses that are none.
func (l *Layout) Validate() error {
	seen := make(map[string]bool, len(l.Nodes))
	managers := 0
	for _, n := range l.Nodes {
		if err := validName(n.Name); err != nil {
			return err
		}
		if seen[n.Name] {
			return fmt.Errorf("layout: node %s is there twice", n.Name)
		}
		seen[n.Name] = true
		if n.Role == Manager {
			managers++
		}
		if n.Addr != "" || n.Host == "" {
			if _, err := n.IP(); err != nil {
				return fmt.Errorf("layout: %w", err)
			}
		}
		if n.Port < 0 || n.Port > 65535 || n.MetricsPort < 0 || n.MetricsPort > 65535 {
			return fmt.Errorf("layout: node %s: port %d or metrics port %d is above 65535", n.Name, n.Port, n.MetricsPort)
		}
	}
	if managers > 1 {
		return fmt.Errorf("layout: %d managers; a cluster has one", managers)
	}
	for _, n := range l.Nodes {
		if n.Manager != "" && !seen[n.Manager] {
			return fmt.Errorf("layout: node %s: its manager %q is no node", n.Name, n.Manager)
		}
	}
	return nil
}

func validName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > 200 {
		return fmt.Errorf("layout: node name %q: must have 1 to 200 characters", name)
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 127 || strings.IndexByte(`/\"'`, c) >= 0 {
			return fmt.Errorf("layout: node name %q: no blanks, slashes, quotes or bytes outside ASCII", name)
		}
	}
	return nil
}

// JSON returns the layout as indented JSON with a newline at the end.
func (l *Layout) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("layout as json: %w", err)
	}
	return append(b, '\n'), nil
}
