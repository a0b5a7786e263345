package plan

import (
	"fmt"
	"strings"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/zeek/layout"
)

// layoutText is the cluster-layout.zeek that all nodes are told.
func layoutText(c config.Config, workers []Worker) (string, error) {
	o := layout.Default()
	o.Loggers, o.Proxies = c.Cluster.Loggers, c.Cluster.Proxies
	o.Workers = workerFlag(workers)
	l, err := layout.Generate(o)
	if err != nil {
		return "", err
	}
	if err := l.Validate(); err != nil {
		return "", err
	}
	for _, w := range workers {
		if _, ok := l.Node(w.Name); !ok {
			return "", fmt.Errorf("layout has no %s", w.Name) // a mistake of ours
		}
	}
	return string(l.Zeek()), nil
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
