package rdpeudp_test

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/rdpeudp"
	"github.com/picket-nsm/picket/zeek/value"
)

type deaf struct{}

func (deaf) Deliver(analyzer.Conn, bool, []byte) {}
func (deaf) Gap(analyzer.Conn, bool, uint64)     {}
func (deaf) End(analyzer.Conn)                   {}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(*analyzertest.Recorder) analyzer.Factory {
			f := rdpeudp.Factory()
			// The fuzzer tries streams too, which this never is.
			datagrams := f.New
			f.New = func(proto value.Proto) analyzer.Analyzer {
				if proto == value.ProtoTCP {
					return deaf{}
				}
				return datagrams(proto)
			}
			return f
		},
		Allocs: 8, // the kit's notes
		State:  1 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRDPEUDP(f *testing.F) { analyzertest.Fuzz(f, harness()) }
