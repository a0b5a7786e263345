package supervisor

import "time"

// Backoff says how long a node that died stays down.
type Backoff struct {
	First   time.Duration // after the second failure in a row; the first is repaired at once
	Max     time.Duration // delays double up to this
	Healthy time.Duration // a life this long makes the next failure the first again
}

// Delay is how long to wait after so many failures in a row: nothing, First,
// twice First, ... Max.
func (b Backoff) Delay(fails int) time.Duration {
	if fails <= 1 {
		return 0
	}
	d := b.First
	for range fails - 2 {
		if d >= b.Max/2 {
			return b.Max
		}
		d *= 2
	}
	return min(d, b.Max)
}
