package websocket

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// batchBytes is about how much goes into one write.
const batchBytes = 64 << 10

// give puts an event's frames into the queue. It never waits: a client whose
// queue is full is closed.
func (c *client) give(frames []byte) {
	c.mu.Lock()
	if c.isOver() {
		c.mu.Unlock()
		c.server.metrics.count("dropped."+dropGone, 1)
		return
	}
	if c.waiting > 0 && c.waiting+len(frames) > c.server.cfg.QueueBytes {
		waiting := c.waiting
		c.mu.Unlock()
		c.server.metrics.count("dropped."+dropSlow, 1)
		c.end(closing{code: 1013, reason: fmt.Sprintf("Too slow: %d bytes wait to be read", waiting), say: true, slow: true})
		return
	}
	c.put(item{frames, true})
	c.mu.Unlock()
}

// send puts a message that is no event into the queue: it is only sent in answer
// to the client's own, which stop when much waits.
func (c *client) send(text []byte) {
	c.control(textFrames(append(make([]byte, headRoom, headRoom+len(text)), text...)))
}

// admit sends the frames of the ack. No event comes before it, and none is missing behind it: the
// writer cannot have taken it while the client is not yet acked, however soon the
// client answers.
func (c *client) admit(ack []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isOver() {
		c.put(item{ack, false})
		c.acked.Store(true)
	}
}

func (c *client) control(frames []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isOver() {
		c.put(item{frames, false})
	}
}

// put appends to the queue; mu is held.
func (c *client) put(i item) {
	if c.head > 64 && c.head > len(c.queue)/2 {
		n := copy(c.queue, c.queue[c.head:])
		clear(c.queue[n:])
		c.queue, c.head = c.queue[:n], 0
	}
	c.queue = append(c.queue, i)
	c.waiting += len(i.frames)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *client) isOver() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// end closes the connection, for the reason of whoever comes first. It does not
// wait: the writer says goodbye.
func (c *client) end(why closing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isOver() {
		return
	}
	c.ending = why
	close(c.over)
	_ = c.wire.SetWriteDeadline(time.Now().Add(closeTime)) // a stuck write ends
}

// take returns what is to be written next, at least batchBytes of it if there is
// so much, into a slice that is used again. nil: the connection is over.
func (c *client) take(batch []item) []item {
	for {
		c.mu.Lock()
		over := c.isOver()
		if over && (!c.ending.flush || c.head == len(c.queue)) {
			c.mu.Unlock()
			return nil
		}
		n := 0
		for c.head < len(c.queue) && n < batchBytes {
			batch = append(batch, c.queue[c.head])
			n += len(c.queue[c.head].frames)
			c.queue[c.head] = item{}
			c.head++
		}
		if c.head == len(c.queue) {
			if c.head = 0; cap(c.queue) > 1024 {
				c.queue = nil
			}
			c.queue = c.queue[:0]
		}
		c.mu.Unlock()
		if len(batch) > 0 {
			return batch
		}
		select {
		case <-c.wake:
		case <-c.over:
		}
	}
}

// write sends what is in the queue until the connection is over, then says why.
func (c *client) write() {
	pool := &c.server.batches
	var batch []item
	for {
		batch = c.take(batch[:0])
		if batch == nil {
			break
		}
		bytes, events := 0, 0
		for _, i := range batch {
			bytes += len(i.frames)
			if i.event {
				events++
			}
		}
		err := c.writeBatch(batch, pool)
		clear(batch)
		c.mu.Lock()
		c.waiting -= bytes
		c.mu.Unlock()
		if err != nil {
			c.end(closing{code: 1006, reason: "Abnormal closure"})
			c.lost(events)
			break
		}
		if events > 0 {
			c.server.metrics.eventsOut.Add(uint64(events))
			c.counts.out.Add(uint64(events))
		}
		c.server.metrics.bytesOut.Add(uint64(bytes))
		c.gather()
	}
	c.mu.Lock()
	why, left := c.ending, 0
	for _, i := range c.queue[c.head:] {
		if i.event {
			left++
		}
	}
	c.queue, c.head = nil, 0
	c.mu.Unlock()
	c.lost(left)
	c.goodbye(why)
}

// Where there are many clients, each write is followed by a pause, so that events
// go out several at a time: one write and one read less for each, which is most
// of what a delivery costs.
const (
	gatherPer  = 20 * time.Microsecond // for each client that there is
	gatherFrom = time.Millisecond      // below it is not worth a timer
	gatherMost = 20 * time.Millisecond
)

// gather pauses after a write.
func (c *client) gather() {
	pause := min(time.Duration(c.server.crowd.Load())*gatherPer, gatherMost)
	if pause < gatherFrom {
		return
	}
	if c.pause == nil {
		c.pause = time.NewTimer(pause)
	} else {
		c.pause.Reset(pause)
	}
	select {
	case <-c.pause.C:
	case <-c.over:
		c.pause.Stop()
	}
}

func (c *client) writeBatch(batch []item, pool *sync.Pool) error {
	if len(batch) == 1 {
		return c.wire.send(batch[0].frames)
	}
	buf, _ := pool.Get().(*[]byte)
	if buf == nil {
		b := make([]byte, 0, 2*batchBytes)
		buf = &b
	}
	b := (*buf)[:0]
	for _, i := range batch {
		b = append(b, i.frames...)
	}
	err := c.wire.send(b)
	if cap(b) <= 4*batchBytes {
		*buf = b
		pool.Put(buf)
	}
	return err
}

// lost counts events that will not reach the client.
func (c *client) lost(events int) {
	if events == 0 {
		return
	}
	c.mu.Lock()
	reason := dropGone
	if c.ending.slow {
		reason = dropSlow
	}
	c.mu.Unlock()
	c.server.metrics.count("dropped."+reason, uint64(events))
}

// goodbye says why, waits for the client's own goodbye for a bounded time, and
// closes. Nothing that the client still sends is looked at.
func (c *client) goodbye(why closing) {
	_ = c.wire.SetDeadline(time.Now().Add(closeTime))
	if why.say {
		_ = c.ws.Close(websocket.StatusCode(why.code), why.reason)
	} else if why.linger {
		// The library has said it. Closing with input unread would make the
		// system take back what the client has not yet read.
		_, _ = io.Copy(io.Discard, io.LimitReader(c.wire.Conn, 64<<20))
	}
	_ = c.ws.CloseNow()
}

// pingEvery is the keeper's check of one client: as in Zeek's server, who has not
// answered a ping when the next one is due is gone. Whatever it sends is an
// answer, and so is that it takes what waited before the ping. While we make it
// wait there can be none.
func (c *client) pingEvery(interval time.Duration, now time.Time) {
	if c.pingAt.IsZero() {
		c.pingAt = now
		return
	}
	if now.Sub(c.pingAt) < interval {
		return
	}
	reads, sent := c.wire.reads.Load(), c.wire.sent.Load()
	alive := reads != c.pingReads || c.pingBusy && sent != c.pingSent || c.paused.Load()
	if c.pingNum > 0 && !alive {
		c.end(closing{code: 1011, reason: "Ping timeout", say: true})
		return
	}
	c.mu.Lock()
	c.pingBusy = c.waiting > 0
	c.mu.Unlock()
	c.control(controlFrame(opPing, fmt.Appendf(nil, "picket::heartbeat::%s::%d", interval, c.pingNum)))
	c.server.metrics.pings.Add(1)
	c.pingNum++
	c.pingAt, c.pingReads, c.pingSent = now, reads, sent
}
