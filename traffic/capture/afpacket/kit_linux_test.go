package afpacket

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/capture/capturetest"
)

func TestKit(t *testing.T) {
	capturetest.Run(t, func(t testing.TB, frames []capture.Frame) capture.Source {
		n := newBench(t)
		src := source(t, n.group(t, 1, Options{}), 0, Resume{})
		s := n.sender(t)
		for _, f := range frames {
			put(t, s, f.Data)
		}
		return src
	}, capturetest.Features{Live: true})
}
