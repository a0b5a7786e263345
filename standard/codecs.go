package standard

import (
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/bus/codec/brokerjson"
)

// Codecs lists how events can be encoded; the first is Zeek's default.
func Codecs() []codec.Codec { return []codec.Codec{brokerbin.New(), brokerjson.New()} }
