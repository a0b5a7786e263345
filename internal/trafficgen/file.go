package trafficgen

import (
	"bufio"
	"fmt"
	"io"

	"github.com/picket-nsm/picket/traffic/capture/pcapfile"
	"github.com/picket-nsm/picket/traffic/packet"
)

// WriteFile writes all frames of next as a capture file, rate frames a second
// from the given time on.
func WriteFile(w io.Writer, next func() []byte, start packet.Time, rate int) error {
	buf := bufio.NewWriterSize(w, 1<<20)
	p, err := pcapfile.NewWriter(buf, packet.LinkEthernet, pcapfile.WriterOptions{})
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		f := next()
		if f == nil {
			return buf.Flush()
		}
		if err := p.Write(start+packet.Time(float64(n)/float64(rate)), f, len(f)); err != nil {
			return err
		}
	}
}

// WriteFlows writes what the conn rows of a Config's flows say, one line a
// flow: number, proto, addresses and ports, state, history, bytes, packets, DNS
// query, with tabs between.
func (c Config) WriteFlows(w io.Writer) error {
	c = c.withDefaults()
	buf := bufio.NewWriterSize(w, 1<<16)
	fmt.Fprintln(buf, "#n\tproto\torig_h\torig_p\tresp_h\tresp_p\tconn_state\thistory\torig_bytes\tresp_bytes\torig_pkts\tresp_pkts\tquery")
	for n := c.First; n < c.First+c.Flows; n++ {
		f := c.Flow(n)
		proto, query := "tcp", "-"
		if f.Kind != TCP {
			proto = "udp"
		}
		if f.Query != "" {
			query = f.Query
		}
		fmt.Fprintf(buf, "%d\t%s\t%s\t%d\t%s\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", n, proto, f.Orig.Addr(), f.Orig.Port(),
			f.Resp.Addr(), f.Resp.Port(), f.State, f.History, f.OrigBytes, f.RespBytes, f.OrigPkts, f.RespPkts, query)
	}
	return buf.Flush()
}
