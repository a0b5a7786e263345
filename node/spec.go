// Package node is one process with a role: a worker, logger, proxy or manager.
// wire.go names every station of the data path in order.
package node

import (
	"fmt"
	"time"

	"github.com/picket-nsm/picket/policy/builtin"
	"github.com/picket-nsm/picket/traffic/capture/afpacket"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/stock"
)

// Spec is all that a node is told: who it is, where the bus is, what to
// capture, how to write. It crosses the process boundary as JSON; nothing in it
// is read from a file again.
type Spec struct {
	Cluster string `json:"cluster"`       // name of the cluster, first token of every bus subject
	Run     string `json:"run,omitempty"` // which run of the cluster: shared state is not carried over from another
	Name    string `json:"name"`
	Role    string `json:"role"`   // worker, logger, proxy or manager, as the layout says; hub
	Dir     string `json:"dir"`    // working folder, spool/NAME
	Layout  string `json:"layout"` // text of cluster-layout.zeek
	// Zeek names the nodes of the layout that are real Zeek processes.
	Zeek []string `json:"zeek,omitempty"`
	// Stock says which Zeek the loggers among them are, by name: what they write.
	Stock map[string]Stock `json:"stock,omitempty"`

	Drain time.Duration `json:"drain,omitempty"` // how long the stop may wait for loggers; 0: 10 s

	Bus     Bus     `json:"bus"`
	Capture Capture `json:"capture"` // workers
	Logs    Logs    `json:"logs"`    // loggers
	Doors   Doors   `json:"doors,omitzero"`

	// Metrics is for the one node, or the hub, that serves them for all.
	Metrics *Metrics `json:"metrics,omitempty"`
	// NoMetrics keeps a node from serving its own: at its layout's port, else at a
	// free one of loopback.
	NoMetrics bool `json:"no_metrics,omitempty"`
}

// visitor is the spec of a connection that is no node: it has no name, greets
// nobody, and neither takes nor sends log batches.
func (s Spec) visitor() Spec {
	s.Name, s.Role, s.Bus.ZeroMQ.Loggers = "", "", nil
	return s
}

// Stock is a real Zeek as it is delivered.
type Stock struct {
	Version string `json:"version"`
	Local   bool   `json:"local,omitempty"` // it loads local.zeek
}

// Takes returns what says whether a logger can write the rows of a batch, as
// ship.Deps has it; nil if all loggers are ours, which write everything. It may be
// called from any goroutine.
func (s Spec) Takes() (func(logger string, b *record.Batch) bool, error) {
	zeeks, err := s.zeeks()
	if err != nil || len(zeeks) == 0 {
		return nil, err
	}
	return func(logger string, b *record.Batch) bool {
		z := zeeks[logger]
		return z == nil || fit(z, b) == nil
	}, nil
}

// zeeks are the loggers of Stock.
func (s Spec) zeeks() (map[string]*stock.Zeek, error) {
	zeeks := map[string]*stock.Zeek{}
	for name, of := range s.Stock {
		z, err := stock.New(of.Version, of.Local)
		if err != nil {
			return nil, fmt.Errorf("logger %s: %w", name, err)
		}
		zeeks[name] = z
	}
	return zeeks, nil
}

// Metrics is the endpoint that carries all nodes of the machine.
type Metrics struct {
	Listen string `json:"listen"` // ADDRESS:PORT; port 0: a free one
	Spool  string `json:"spool"`  // folder of the nodes' folders
}

// drain is how long a node waits for the loggers when it stops.
func (s *Spec) drain() time.Duration {
	if s.Drain > 0 {
		return s.Drain
	}
	return 10 * time.Second
}

// Bus says how to reach the bus.
type Bus struct {
	Backend string `json:"backend,omitempty"` // nats (default) or zeromq

	URL     string `json:"url"`               // nats://127.0.0.1:PORT
	Outside bool   `json:"outside,omitempty"` // the server is the user's own: the hub runs none
	User    string `json:"user,omitempty"`
	Token   string `json:"token,omitempty"` // password of User
	CA      string `json:"ca,omitempty"`    // PEM file, with tls:// URLs
	Cert    string `json:"cert,omitempty"`
	Key     string `json:"key,omitempty"`
	Codec   string `json:"codec,omitempty"` // broker-bin-v1 (default) or broker-json-v1

	ZeroMQ ZeroMQ `json:"zeromq,omitzero"`
}

// The backends.
const (
	BackendNATS   = "nats"
	BackendZeroMQ = "zeromq"
)

// ZeroMQ says where ZeroMQ sockets are: of all nodes with that backend, else of
// the hub, for real Zeek processes.
type ZeroMQ struct {
	// XPUB is where the hub's broker sends events from, and XSUB where it takes them.
	// The hub listens at all of them; nodes connect to the first.
	XPUB []string `json:"xpub,omitempty"`
	XSUB []string `json:"xsub,omitempty"`
	// Loggers is where each logger takes batches: it listens at all of its endpoints
	// (over NATS, the hub does so for it), others connect to the first.
	Loggers []Endpoints `json:"loggers,omitempty"`
	Keys    Keys        `json:"keys,omitzero"`
}

// Endpoints are those of one logger.
type Endpoints struct {
	Name string   `json:"name"`
	At   []string `json:"at"`
}

// Keys are Zeek's CURVE keys, in Z85. All empty: no encryption.
type Keys struct {
	ServerPublic string `json:"server_public,omitempty"`
	ServerSecret string `json:"server_secret,omitempty"`
	ClientPublic string `json:"client_public,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
}

// Options are what users may set of the logs of protocols.
type Options = builtin.Options

// Capture says what a worker reads.
type Capture struct {
	Interface  string        `json:"interface,omitempty"`  // eth0, or empty for a capture file
	SocketFD   int           `json:"socket_fd,omitempty"`  // inherited AF_PACKET socket; 0: the worker opens its own
	SocketRing afpacket.Ring `json:"socket_ring,omitzero"` // layout of the ring behind SocketFD, from Group.Ring
	Files      []string      `json:"files,omitempty"`      // capture files, read one after the other
	Share      int           `json:"share,omitempty"`      // this worker's share of a file, 0 ... Of-1
	Of         int           `json:"of,omitempty"`         // number of shares; 0 and 1: all of it
	Resume     uint64        `json:"resume,omitempty"`     // number of the last packet an earlier life has finished
	// What the ledgers of earlier lives in this run hold: packets received, and
	// packets that the kernel dropped.
	ResumeReceived uint64        `json:"resume_received,omitempty"`
	ResumeDropped  uint64        `json:"resume_dropped,omitempty"`
	Pace           time.Duration `json:"pace,omitempty"`         // replay a file by its timestamps in about this time
	Filter         string        `json:"filter,omitempty"`       // tcpdump expression
	NoChecksums    bool          `json:"no_checksums,omitempty"` // take packets with bad checksums
	Seed           string        `json:"seed,omitempty"`         // key of the UIDs; empty: by chance
	LocalNets      []string      `json:"local_nets,omitempty"`
	Stats          bool          `json:"stats,omitempty"`        // write stats.log
	CaptureLoss    bool          `json:"capture_loss,omitempty"` // write capture_loss.log
	Content        Content       `json:"content,omitzero"`       // hashes and extraction of files
	Options        Options       `json:"options,omitzero"`       // of the logs of protocols
}

// Logs says how a logger writes.
type Logs struct {
	Dir      string        `json:"dir"`                 // where NAME.log grows
	Archive  string        `json:"archive,omitempty"`   // where rotated files go; empty: they stay in Dir
	Format   string        `json:"format"`              // tsv or json
	Rotate   time.Duration `json:"rotate,omitempty"`    // 0: never
	RotateAt string        `json:"rotate_at,omitempty"` // HH:MM the intervals count from; empty: the epoch
	Archiver bool          `json:"archiver,omitempty"`  // name rotated files as zeek-archiver wants them
	Suffix   string        `json:"suffix,omitempty"`    // log_suffix metadata in these names, where there are several loggers
	Tag      string        `json:"tag,omitempty"`       // in the names of growing files, where several loggers share Dir
}
