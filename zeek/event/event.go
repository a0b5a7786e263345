// Package event holds what nodes tell each other: a named event with
// arguments and metadata.
//
// Traffic and policy make events only when somebody wants them; codecs turn
// them into bytes. The package is data: no goroutine, clock or registry of
// names. Neither types nor field names travel with an event: both sides must
// know its declaration (wire.md section 2.4).
package event

import "github.com/picket-nsm/picket/zeek/value"

// Ids of metadata. 1-199 are Zeek's; Zeek drops ids it does not know.
const (
	MetaNetworkTime uint64 = 1   // time: network time at the publisher
	MetaSequence    uint64 = 200 // count: number of the event at its publisher, between Picket nodes
)

// Meta is one piece of metadata.
type Meta struct {
	ID    uint64
	Value value.Value
}

// Event is a name with arguments. Arguments are never unset. An Event shares
// its slices with its copies.
type Event struct {
	Name string // with module: Cluster::hello
	Args []value.Value
	Meta []Meta // nil: none. Empty but not nil: an empty list is written, as Broker does
}

// New returns an event without metadata. It keeps args.
func New(name string, args ...value.Value) Event { return Event{Name: name, Args: args} }

// MetaOf returns the first metadata of that id, or an unset value.
func (e *Event) MetaOf(id uint64) value.Value {
	for i := range e.Meta {
		if e.Meta[i].ID == id {
			return e.Meta[i].Value
		}
	}
	return value.Value{}
}
