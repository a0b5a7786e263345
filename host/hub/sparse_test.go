package hub

import (
	"testing"
	"time"
)

// TestSparse: a flood of failed handshakes becomes some lines a second.
func TestSparse(t *testing.T) {
	now := time.Unix(100, 0)
	l := sparse{now: func() time.Time { return now }}
	for second := range 3 {
		said := 0
		for range 1000 {
			if l.room() {
				said++
			}
		}
		if said != linesPerSecond {
			t.Errorf("second %d: %d lines, want %d", second, said, linesPerSecond)
		}
		now = now.Add(time.Second)
	}
}
