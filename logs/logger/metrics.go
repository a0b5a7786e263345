package logger

import "github.com/picket-nsm/picket/internal/ledger"

type metrics struct {
	received, double, refused, errors, queue, rotated, repaired *ledger.Counter
}

func newMetrics(l *ledger.Ledger) metrics {
	return metrics{
		received: l.Counter(ledger.BatchesReceived), double: l.Counter(ledger.BatchesDouble),
		refused: l.Counter(ledger.BatchesRefused), errors: l.Counter(ledger.WriteErrors),
		queue: l.Counter(ledger.QueueLogger), rotated: l.Counter(ledger.FilesRotated),
		repaired: l.Counter(ledger.FilesRepaired),
	}
}
