package capturetest_test

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/capture/capturetest"
)

// TestMemory: the source in memory passes the kit, so that others may trust it.
func TestMemory(t *testing.T) {
	capturetest.Run(t, func(t testing.TB, fr []capture.Frame) capture.Source {
		return capturetest.Packets(fr, 5000)
	}, capturetest.Features{Links: true, Copies: true})
}
