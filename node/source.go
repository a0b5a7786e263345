package node

import (
	"errors"
	"fmt"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/capture/afpacket"
	"github.com/picket-nsm/picket/traffic/capture/filter"
	"github.com/picket-nsm/picket/traffic/capture/pcapfile"
	"github.com/picket-nsm/picket/traffic/capture/share"
)

// openSource opens what a worker process reads: its share of capture files, the
// ring of a socket that it inherited, or an interface of its own.
func openSource(s *Spec, cut func(error)) (capture.Source, error) {
	c := s.Capture
	switch {
	case len(c.Files) > 0:
		file, err := pcapfile.OpenAll(c.Files, pcapfile.Options{Pace: c.Pace, Truncated: cut})
		if err != nil {
			return nil, err
		}
		src, err := filtered(file, c.Filter)
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if c.Of > 1 {
			return share.Only(src, c.Share, c.Of), nil
		}
		return src, nil
	case c.SocketFD > 0:
		// The socket's owner has set its filter.
		return afpacket.FromFD(uintptr(c.SocketFD), c.SocketRing, afpacket.Resume{Seq: c.Resume, Dropped: c.ResumeDropped})
	case c.Interface != "":
		return openInterface(s)
	}
	return nil, fmt.Errorf("worker: nothing to read: neither an interface nor a capture file is given")
}

// filtered keeps what a tcpdump expression lets pass; an empty one is all.
func filtered(src capture.Source, expr string) (capture.Source, error) {
	if expr == "" {
		return src, nil
	}
	return filter.Source(src, expr)
}

// openInterface captures without a supervisor; the kernel runs the filter. The
// workers of a cluster share an interface by flow: they know each other by the
// cluster's name, the bus, and what they filter.
func openInterface(s *Spec) (capture.Source, error) {
	c := s.Capture
	opt := afpacket.Options{Share: s.Cluster + "\x00" + s.Bus.URL + "\x00" + c.Filter}
	if c.Filter != "" {
		link, err := afpacket.Link(c.Interface)
		if err != nil {
			return nil, err
		}
		p, err := filter.Compile(c.Filter, uint16(link), 0)
		if err != nil {
			return nil, err
		}
		if opt.Filter, err = p.Kernel(); err != nil {
			return nil, err
		}
	}
	return afpacket.Open(c.Interface, opt)
}
