package control

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
)

// MaxLines is how many lines of a node's output may be asked for.
const MaxLines = 1000

// Streams of a node's output.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Output returns the last n lines that a node has printed to a stream, valid
// UTF-8 each. It is for those who gave a token: only the spool's owner could
// read it else.
func (o *Operations) Output(node, stream string, n int) ([]string, error) {
	if !slices.Contains([]string{Stdout, Stderr}, stream) {
		return nil, fmt.Errorf("output of %s: stream %q: want stdout or stderr", node, stream)
	}
	if !o.knows(node) {
		return nil, fmt.Errorf("output of %s: %w", node, supervisor.ErrNoNode)
	}
	var b bytes.Buffer
	t := status.Tail{Path: filepath.Join(o.spool, node, stream+".log")}
	if err := t.Last(&b, min(n, MaxLines)); err != nil {
		return nil, fmt.Errorf("output of %s: %w", node, err)
	}
	lines := []string{}
	for l := range strings.SplitSeq(strings.TrimRight(b.String(), "\n"), "\n") {
		if l != "" || len(lines) > 0 {
			lines = append(lines, strings.ToValidUTF8(l, "\uFFFD"))
		}
	}
	return lines, nil
}
