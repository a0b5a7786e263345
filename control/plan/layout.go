package plan

import (
	"fmt"
	"strings"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/zeek/layout"
)

// clusterLayout is the cluster-layout.zeek that all nodes are told.
func clusterLayout(c config.Config, workers []Worker) (*layout.Layout, error) {
	o := layout.Default()
	o.Loggers, o.Proxies = c.Cluster.Loggers, c.Cluster.Proxies
	o.Addr, o.Port = inLayout(c.Bus.ZeroMQ.Address), c.Bus.ZeroMQ.Port
	o.Workers = workerFlag(workers)
	o.MetricsPort = c.Metrics.Ports
	l, err := layout.Generate(o)
	if err != nil {
		return nil, err
	}
	for _, z := range c.Zeek {
		role, _ := layout.ParseRole(z.Role) // config has checked it
		l.Nodes = append(l.Nodes, layout.Node{Name: z.Name, Role: role, Addr: inLayout(z.AddressOr()), Port: z.Port, Manager: "manager"})
	}
	if err := l.Validate(); err != nil {
		return nil, err
	}
	for _, w := range workers {
		if _, ok := l.Node(w.Name); !ok {
			return nil, fmt.Errorf("layout has no %s", w.Name) // a mistake of ours
		}
	}
	return l, nil
}

// inLayout is an address as a layout file has it.
func inLayout(addr string) string {
	if strings.Contains(addr, ":") {
		return "[" + addr + "]"
	}
	return addr
}

// workerFlag is -W for these workers: 4, or 1:4,2:4 for worker-1-1 and on.
func workerFlag(workers []Worker) string {
	var groups []string
	for _, w := range workers {
		if w.Index > 0 {
			continue
		}
		if strings.Count(w.Name, "-") == 1 {
			return fmt.Sprint(w.Of)
		}
		groups = append(groups, fmt.Sprintf("%d:%d", w.Interface+1, w.Of))
	}
	if groups == nil {
		return "0"
	}
	return strings.Join(groups, ",")
}
