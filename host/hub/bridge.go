package hub

import (
	"errors"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/node"
)

func openBridge(spec node.Spec, url string, led *ledger.Ledger, d Deps) (part, error) {
	return part{}, errors.New("TODO")
}
