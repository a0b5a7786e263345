package node

import (
	"fmt"
	"slices"
	"strings"

	"github.com/picket-nsm/picket/traffic/capture/filter"
	"github.com/picket-nsm/picket/traffic/files/hash"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Check finds what cannot be meant, as far as that can be known without the
// capture: the error names the setting's value.
func (c *Capture) Check() error {
	if c.Pace < 0 {
		return fmt.Errorf("pace %v: want 0 or more", c.Pace)
	}
	if _, err := localNets(c.LocalNets); err != nil {
		return err
	}
	for _, kind := range c.Content.Hash {
		if !slices.Contains(hash.Kinds(), kind) {
			return fmt.Errorf("hash %q: not known, there are %s", kind, strings.Join(hash.Kinds(), ", "))
		}
	}
	for _, t := range c.Content.Extract {
		if t != AllTypes && !strings.Contains(t, "/") {
			return fmt.Errorf("extract %q: want a type as files.log shows it, as text/html, or *", t)
		}
	}
	_, err := filter.Compile(c.Filter, packet.LinkEthernet, 0)
	return err
}
