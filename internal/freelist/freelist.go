// Package freelist keeps what is over for who needs the next one: analyzers of
// connections that ended, rows that were written, buffers. It stands under every
// hot path that would else allocate per connection, transaction or message. A List
// owns what lies in it, and nothing that it handed out. It never makes anything,
// never resets anything, and has no lock.
//
// Why not sync.Pool: all that is kept here belongs to one goroutine, so atomics and
// per-processor shards would be paid for nothing; a Pool has no bound and is emptied
// by the garbage collector whenever that runs, so what is allocated would differ
// from run to run. A List has a bound, and the same input allocates the same.
package freelist

// List is a bounded stack of values kept for reuse. T is a pointer or a slice: its
// zero value, nil, stands for none. The zero List keeps nothing. A List has one
// owner: calls do not overlap, except under the owner's lock.
type List[T any] struct {
	kept []T
	max  int
}

// New returns a List that keeps up to max values.
func New[T any](max int) List[T] { return List[T]{max: max} }

// Take hands out the value kept last; the zero T, nil, if there is none: the caller
// makes one. It is as it was given to Keep, and the caller's alone.
func (l *List[T]) Take() T {
	var none T
	n := len(l.kept)
	if n == 0 {
		return none
	}
	x := l.kept[n-1]
	l.kept[n-1] = none
	l.kept = l.kept[:n-1]
	return x
}

// Keep takes x over, or leaves it to the garbage collector where max are kept
// already, and reports whether it did the first. The caller has made x ready for its
// next user, and forgets it.
func (l *List[T]) Keep(x T) bool {
	if len(l.kept) >= l.max {
		return false
	}
	l.kept = append(l.kept, x)
	return true
}
