package plan

import (
	"github.com/picket-nsm/picket/control/config"
)

// layoutText is the cluster-layout.zeek that all nodes are told.
func layoutText(c config.Config, workers []Worker) (string, error) {
	return "", nil
}
