package node

import (
	"fmt"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/capture/afpacket"
	"github.com/picket-nsm/picket/traffic/capture/pcapfile"
	"github.com/picket-nsm/picket/traffic/capture/share"
)

// openSource opens what a worker process reads: its share of capture files, the
// ring of a socket that it inherited, or an interface of its own.
func openSource(c Capture, cut func(error)) (capture.Source, error) {
	switch {
	case len(c.Files) > 0:
		src, err := pcapfile.OpenAll(c.Files, pcapfile.Options{Pace: c.Pace, Truncated: cut})
		if err != nil {
			return nil, err
		}
		if c.Of > 1 {
			return share.Only(src, c.Share, c.Of), nil
		}
		return src, nil
	case c.SocketFD > 0:
		// The socket's owner has set its filter.
		return afpacket.FromFD(uintptr(c.SocketFD), c.SocketRing, afpacket.Resume{Seq: c.Resume, Dropped: c.ResumeDropped})
	case c.Interface != "":
		return afpacket.Open(c.Interface, afpacket.Options{})
	}
	return nil, fmt.Errorf("worker: nothing to read: neither an interface nor a capture file is given")
}
