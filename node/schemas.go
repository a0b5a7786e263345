package node

import (
	"github.com/picket-nsm/picket/policy/builtin"
	"github.com/picket-nsm/picket/policy/builtin/captureloss"
	clusterlog "github.com/picket-nsm/picket/policy/builtin/cluster"
	"github.com/picket-nsm/picket/policy/builtin/reporter"
	"github.com/picket-nsm/picket/policy/builtin/stats"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schemas are those of the logs that a cluster with these protocols and this kind of
// capture may write. What is opened to find out is thrown away.
func Schemas(protocols []builtin.Protocol, c Capture) []*record.Schema {
	var all []*record.Schema
	builtin.New(builtin.Env{Options: c.Options}, func(s *record.Schema) func([]value.Value) {
		all = append(all, s)
		return func([]value.Value) {}
	}, protocols)
	all = append(all, reporter.Schema(), clusterlog.Schema())
	if c.Stats {
		all = append(all, stats.Schema())
	}
	if c.CaptureLoss {
		all = append(all, captureloss.Schema())
	}
	return all
}
