package pcapfile

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
)

// traces lists the recorded captures.
func traces(t testing.TB) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(testenv.Shared(t, "traces"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		for _, e := range []string{".pcap", ".pcapng", ".trace", ".cap", ".gz"} {
			if !d.IsDir() && strings.HasSuffix(path, e) {
				all = append(all, path)
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// drain reads to the end, decodes everything and checks what every source
// promises. It returns the number of packets and the error that is not io.EOF.
func drain(t testing.TB, s *Source, each func(*packet.Packet, *capture.Frame)) (int, error) {
	t.Helper()
	ctx := context.Background()
	var p packet.Packet
	n := 0
	for {
		fr, err := s.Next(ctx)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
		if len(fr) == 0 {
			t.Fatal("empty block without error")
		}
		for i := range fr {
			n++
			f := &fr[i]
			if f.Seq != uint64(n) {
				t.Fatalf("packet %d has number %d", n, f.Seq)
			}
			packet.Decode(&p, uint16(f.Link), f.Data, f.WireLen)
			if each != nil {
				each(&p, f)
			}
			for p.Next() {
			}
		}
	}
}

// TestTraces reads every recorded capture.
func TestTraces(t *testing.T) {
	links := map[capture.LinkType]int{}
	weirds := map[string]int{}
	for _, path := range traces(t) {
		s, err := Open(path, Options{})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		_, err = drain(t, s, func(p *packet.Packet, f *capture.Frame) {
			links[f.Link]++
			for _, w := range p.Weirds[:p.NWeirds] {
				weirds[filepath.Base(path)+" "+w.Source+" "+w.Name]++
			}
		})
		if err != nil {
			t.Errorf("%v", err)
		}
		s.Close()
	}
	t.Log(links)
	for k, v := range weirds {
		t.Log(k, v)
	}

}
