// Package queue is the bounded queue between goroutines that the bus drivers
// use: many writers, one reader, a policy for the full queue.
//
// It stands where a channel would, and adds what a channel lacks: it can be
// closed under its writers, it may be bounded by a weight too, and its ring
// grows only as far as it is used. It counts nothing; the caller counts what
// Put refuses.
package queue

import "sync"

// Queue is a bounded queue. Any goroutine may Put; one drains.
type Queue[T any] struct {
	mu     sync.Mutex
	change sync.Cond // something was put or taken, or the queue closed
	ring   []T
	head   int
	n      int
	max    int
	closed bool

	weigh     func(T) int
	weight    int
	maxWeight int
}

// New returns a queue of at most max elements.
func New[T any](max int) *Queue[T] {
	q := &Queue[T]{max: max}
	q.change.L = &q.mu
	return q
}

// Weighed returns a queue of at most max elements that weigh at most maxWeight
// together. A single element may weigh more.
func Weighed[T any](max, maxWeight int, weigh func(T) int) *Queue[T] {
	q := New[T](max)
	q.weigh, q.maxWeight = weigh, maxWeight
	return q
}

// Result is what became of an element.
type Result uint8

// What Put can say.
const (
	Done Result = iota
	Full
	Closed
)

// Put appends v. On a full queue it waits for room, or gives up with Full.
func (q *Queue[T]) Put(v T, wait bool) Result {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := 0
	if q.weigh != nil {
		w = q.weigh(v)
	}
	for !q.closed && (q.n == q.max || q.n > 0 && q.weight+w > q.maxWeight) {
		if !wait {
			return Full
		}
		q.change.Wait()
	}
	if q.closed {
		return Closed
	}
	if q.n == len(q.ring) {
		ring := make([]T, min(q.max, max(16, 2*q.n)))
		for i := range q.n {
			ring[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = v
	q.n++
	q.weight += w
	q.change.Broadcast()
	return Done
}

// Drain calls f with every element in order, until the queue is closed and empty.
func (q *Queue[T]) Drain(f func(T)) {
	for {
		q.mu.Lock()
		for q.n == 0 && !q.closed {
			q.change.Wait()
		}
		v, ok := q.take()
		q.mu.Unlock()
		if !ok {
			return
		}
		f(v)
	}
}

// Take returns the first element, if there is one, and does not wait.
func (q *Queue[T]) Take() (v T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.take()
}

func (q *Queue[T]) take() (v T, ok bool) {
	if q.n == 0 {
		return v, false
	}
	var none T
	v = q.ring[q.head]
	q.ring[q.head] = none
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	if q.weigh != nil {
		if q.weight -= q.weigh(v); q.n == 0 {
			q.weight = 0
		}
	}
	q.change.Broadcast()
	return v, true
}

// Close ends the queue: Put refuses, Drain ends when it is empty. Again is harmless.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed = true
	q.change.Broadcast()
	q.mu.Unlock()
}

// Len returns how many elements wait.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}
