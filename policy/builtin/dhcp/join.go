package dhcp

import (
	"container/heap"
	"slices"
	"strconv"

	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Limits and times of Zeek (scripts/base/protocols/dhcp/main.zeek).
const (
	maxTracked  = 100_000 // transactions
	maxUIDs     = 10      // of a row
	maxTypes    = 50      // of a row
	firstLook   = 10.0    // seconds after its beginning a transaction is looked at,
	nextLook    = 5.0     // and again
	quiet       = 5.0     // it is over when nothing was seen for so long,
	longest     = 30.0    // or when it is that old
	tooMany     = "DHCP_max_tracked_transactions_exceeded"
	unknownType = "unknown-message-type-"
)

// Join makes rows of messages that come in the order of their times. Its clock is
// theirs. It has no goroutine and no lock.
type Join struct {
	byXID map[uint32]*transaction
	looks looks        // by next look
	old   *transaction // the oldest; the others follow in the order of their beginnings
	young *transaction
	count uint64
	write Write
	weird func(now packet.Time, name, addl string)

	row         []value.Value
	uids, types []value.Value
}

// transaction is a row that grows.
type transaction struct {
	xid            uint32
	n              uint64 // number, in order of beginnings
	at             int    // place in looks
	older, younger *transaction
	look           float64
	begin          float64
	last           float64

	uids  []string
	types []string

	client, server, requested, assigned packet.Addr // all zero: not known
	mac, hardware                       optional
	host, fqdn, domain                  optional
	clientText, serverText              optional
	hasLease                            bool
	lease                               float64
}

// NewJoin returns a Join. weird may be nil.
func NewJoin(write Write, weird func(now packet.Time, name, addl string)) *Join {
	return &Join{byXID: map[uint32]*transaction{}, write: write, weird: weird}
}

// Open returns how many transactions are open.
func (j *Join) Open() int { return len(j.byXID) }

// Add takes a message. It keeps nothing of it but strings.
func (j *Join) Add(m *Message) {
	j.Advance(m.TS)
	t := j.byXID[m.XID]
	if t == nil {
		if len(j.byXID) >= maxTracked {
			j.evict(m.TS)
		}
		j.count++
		t = &transaction{xid: m.XID, n: j.count, begin: m.TS, last: m.TS, look: m.TS + firstLook}
		j.byXID[m.XID] = t
		heap.Push(&j.looks, t)
		if t.older = j.young; t.older != nil {
			t.older.younger = t
		} else {
			j.old = t
		}
		j.young = t
	}
	t.add(m)
	if len(t.uids) >= maxUIDs || len(t.types) >= maxTypes {
		j.end(t, false)
	}
}

// evict ends the oldest transaction.
func (j *Join) evict(now float64) {
	if j.weird != nil {
		j.weird(packet.Time(now), tooMany, strconv.Itoa(len(j.byXID)))
	}
	j.end(j.old, true)
}

// Advance ends the transactions that are over at a time.
func (j *Join) Advance(now float64) {
	for len(j.looks) > 0 && j.looks[0].look < now {
		t := j.looks[0]
		if t.look-t.last > quiet || t.look-t.begin > longest {
			j.end(t, true)
			continue
		}
		t.look += nextLook
		heap.Fix(&j.looks, 0)
	}
}

// Close ends all transactions, in the order of their beginnings.
func (j *Join) Close() {
	for j.old != nil {
		j.end(j.old, true)
	}
}

// end writes a row and forgets the transaction.
func (j *Join) end(t *transaction, fill bool) {
	heap.Remove(&j.looks, t.at)
	delete(j.byXID, t.xid)
	if t.older != nil {
		t.older.younger = t.younger
	} else {
		j.old = t.younger
	}
	if t.younger != nil {
		t.younger.older = t.older
	} else {
		j.young = t.older
	}
	// Zeek forgets this where the row has grown too long.
	if fill && !t.mac.set {
		t.mac = t.hardware
	}
	j.uids, j.types = j.uids[:0], j.types[:0]
	for _, s := range t.uids {
		j.uids = append(j.uids, value.String(s))
	}
	for _, s := range t.types {
		j.types = append(j.types, value.String(s))
	}
	var lease value.Value
	if t.hasLease {
		lease = value.Interval(t.lease)
	}
	j.row = append(j.row[:0], value.Time(t.begin), value.Set(j.uids), addr(t.client), addr(t.server),
		t.mac.value(), t.host.value(), t.fqdn.value(), t.domain.value(), addr(t.requested), addr(t.assigned), lease,
		t.clientText.value(), t.serverText.value(), value.Vector(j.types), value.Interval(t.last-t.begin))
	j.write(j.row)
}

func (o optional) value() value.Value {
	if !o.set {
		return value.Value{}
	}
	return value.String(o.text)
}

func addr(a packet.Addr) value.Value {
	if a == (packet.Addr{}) {
		return value.Value{}
	}
	return value.Addr16(a)
}

// add joins a message to a transaction.
func (t *transaction) add(m *Message) {
	// What comes too late, from a worker far behind, does not turn time back.
	t.begin, t.last = min(t.begin, m.TS), max(t.last, m.TS)
	if !slices.Contains(t.uids, m.UID) {
		t.uids = append(t.uids, m.UID)
	}
	t.types = append(t.types, typeName(m.Type))
	if m.client() {
		t.fromClient(m)
	} else {
		t.fromServer(m)
	}
}

func (o *optional) take(from optional) {
	if from.set {
		*o = from
	}
}

func (t *transaction) fromClient(m *Message) {
	t.clientText.take(m.Text)
	if m.Orig != none() && m.Orig != all() {
		t.client = m.Orig
	}
	t.host.take(m.HostName)
	t.fqdn.take(m.FQDN)
	if m.Ethernet.set {
		t.mac = m.Ethernet
	} else {
		t.hardware = optional{true, m.Hardware}
	}
	if m.Requested != (packet.Addr{}) {
		t.requested = m.Requested
	}
}

func (t *transaction) fromServer(m *Message) {
	t.serverText.take(m.Text)
	if m.Yours != none() {
		// Who hands out an address is known; the others who offered are not told.
		if t.server = m.Resp; m.IsOrig {
			t.server = m.Orig
		}
		t.assigned = m.Yours
	}
	if m.Hardware != "" && !t.mac.set {
		t.mac = optional{true, m.Hardware}
	}
	if t.client == (packet.Addr{}) && t.assigned != (packet.Addr{}) {
		t.client = t.assigned
	}
	t.domain.take(m.Domain)
	if m.HasLease {
		t.hasLease, t.lease = true, m.Lease
	}
}

// typeName is Zeek's name of a type of messages (RFC 2132, 3203, 4388, 6926, 7724).
func typeName(n uint64) string {
	names := [...]string{1: "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM", "FORCERENEW",
		"LEASEQUERY", "LEASEUNASSIGNED", "LEASEUNKNOWN", "LEASEACTIVE", "BULKLEASEQUERY", "LEASEQUERYDONE",
		"ACTIVELEASEQUERY", "LEASEQUERYSTATUS", "TLS"}
	if n > 0 && n < uint64(len(names)) {
		return names[n]
	}
	return unknownType + strconv.FormatUint(n, 10)
}

// looks is a heap of transactions by their next look.
type looks []*transaction

func (h looks) Len() int { return len(h) }
func (h looks) Less(i, k int) bool {
	return h[i].look < h[k].look || h[i].look == h[k].look && h[i].n < h[k].n
}
func (h looks) Swap(i, k int) {
	h[i], h[k] = h[k], h[i]
	h[i].at, h[k].at = i, k
}

// Push implements heap.Interface.
func (h *looks) Push(x any) {
	t := x.(*transaction)
	t.at = len(*h)
	*h = append(*h, t)
}

// Pop implements heap.Interface.
func (h *looks) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}
