package node

import (
	"sync"

	"github.com/picket-nsm/picket/policy/builtin/weird"
)

// sharedOnce is the memory of what was reported once, for the workers of one
// process. It answers at once.
type sharedOnce struct {
	mu    sync.Mutex
	local *weird.Local
}

// newSharedOnce returns a memory for n workers; nil for one, which has its own.
func newSharedOnce(n int) weird.Once {
	if n == 1 {
		return nil
	}
	return &sharedOnce{local: weird.NewLocal(weird.Day, 1<<20)}
}

// Claim implements weird.Once.
func (s *sharedOnce) Claim(c weird.Claim, answer func(granted bool)) {
	var granted bool
	s.mu.Lock()
	s.local.Claim(c, func(ok bool) { granted = ok })
	s.mu.Unlock()
	answer(granted)
}
