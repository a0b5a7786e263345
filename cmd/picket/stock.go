package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/control/plan"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/stock"
)

// stockFindings compares what the cluster writes with what its real Zeek loggers
// take. A column too many is a failure: somebody turned it on, and half of the rows
// would be where nobody expects them. A log that such a logger does not have, or has
// with more columns, goes to picket's own loggers.
func stockFindings(zeeks []config.Zeek, schemas []*record.Schema) findings {
	var out findings
	for _, n := range zeeks {
		if n.Role != "logger" {
			continue
		}
		subject := "zeek " + n.Name
		of := plan.Stock(n)
		z, err := stock.New(of.Version, of.Local)
		if err != nil {
			out = append(out, finding{"fail", subject, err.Error()})
			continue
		}
		fits := 0
		var others []string
		for _, s := range schemas {
			err := z.Fit(s)
			var m *stock.Misfit
			switch {
			case err == nil:
				fits++
			case errors.As(err, &m) && len(m.Extra) > 0:
				out = append(out, finding{"fail", subject, err.Error() + "; turn them off, or let it be no logger of this cluster"})
			default:
				others = append(others, err.Error())
			}
		}
		if len(others) > 0 {
			out = append(out, finding{"warn", subject, "picket's own loggers alone write what it does not take: " + strings.Join(others, "; ")})
		}
		out = append(out, finding{"ok", subject, fmt.Sprintf("%d logs have the columns of %s", fits, z)})
	}
	return out
}
