package ship

import "github.com/picket-nsm/picket/internal/ledger"

type metrics struct {
	queue, sent, resent, moved *ledger.Counter
}

func newMetrics(l *ledger.Ledger) metrics {
	return metrics{
		queue: l.Counter(ledger.QueueShip), sent: l.Counter(ledger.BatchesSent),
		resent: l.Counter(ledger.BatchesResent), moved: l.Counter(ledger.BatchesMoved),
	}
}
