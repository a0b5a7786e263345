package node

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/logs/sink"
	"github.com/picket-nsm/picket/policy/builtin"
)

// Deps is what the program passes to a node: the lists of drivers (package
// standard), the machine's clock and chance, and where to log.
type Deps struct {
	Log       *slog.Logger
	Now       func() time.Time // wall clock
	Rand      io.Reader        // chance: node ids, UIDs where there is no seed
	Protocols []builtin.Protocol
	Formats   []sink.Factory
	Codecs    []codec.Codec // for events; the first is the default
	Connect   Connect
	// Doors opens the doors that w.Spec names, serves until ctx ends and comes back
	// when they are closed. What goes wrong it says itself. nil: there are none.
	Doors func(ctx context.Context, w Doorway)
}

// format finds a log format by name.
func (d *Deps) format(name string) (sink.Factory, error) {
	var known []string
	for _, f := range d.Formats {
		if f.Name == name {
			return f, nil
		}
		known = append(known, f.Name)
	}
	return sink.Factory{}, fmt.Errorf("log format %q: not known, there are %q", name, known)
}

// uidKey is the secret of the UIDs: from the seed, so that a capture gives the
// same UIDs again, or by chance, so that no UID ever repeats.
func (d *Deps) uidKey(seed string) ([]byte, error) {
	if seed != "" {
		sum := sha256.Sum256([]byte("picket uid " + seed))
		return sum[:], nil
	}
	key := make([]byte, sha256.Size)
	if _, err := io.ReadFull(d.Rand, key); err != nil {
		return nil, fmt.Errorf("key for uids: %w", err)
	}
	return key, nil
}

// Connect makes a node's end of the bus; the driver's Run joins it.
type Connect func(s Spec, id string) (backend.Driver, error)
