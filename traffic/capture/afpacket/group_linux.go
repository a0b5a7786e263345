package afpacket

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/bits"
	"net"
	"os"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Steps of opening, as errors name them.
const (
	doSocket  = "open socket"
	doVersion = "set up socket"
	doRing    = "allocate ring"
	doFilter  = "attach filter"
	doPromisc = "switch to promiscuous mode"
	doBind    = "bind to interface"
	doFanout  = "join fanout group"
)

const (
	// blockSize holds the largest packet (64 KiB after GRO). Small blocks make
	// a ring last longer at low rates, since each is handed over after 10 ms
	// however little is in it: 256 of them last 2.5 s.
	blockSize  = 128 << 10
	maxSockets = 256   // of a fanout group
	maxRingMiB = 16384 // a slip of the pen beyond this
)

// Group is the capture sockets of one interface, spread by the kernel. It
// belongs to the supervisor: sockets, rings, membership and counters live until
// Close, whatever becomes of the workers that read the rings. Methods may be
// called from any goroutine, Close once.
type Group struct {
	ring  Ring
	files []*os.File
}

// OpenGroup makes n sockets on an interface (eth0 or af_packet::eth0). When it
// returns, all of them capture. It maps no ring.
func OpenGroup(iface string, n int, o Options) (*Group, error) {
	name, err := Name(iface)
	if err != nil {
		return nil, err
	}
	g, err := openGroup(name, n, o)
	if err != nil {
		return nil, fmt.Errorf("capture %s: %w", name, err)
	}
	return g, nil
}

func openGroup(name string, n int, o Options) (*Group, error) {
	mib := o.RingMiB
	if mib == 0 {
		mib = DefaultRingMiB
	}
	if n < 1 || n > maxSockets {
		return nil, fmt.Errorf("%d workers on one interface: have 1 to %d", n, maxSockets)
	}
	if mib < 1 || mib > maxRingMiB {
		return nil, fmt.Errorf("ring of %d MiB: have 1 to %d", mib, maxRingMiB)
	}
	ifi, err := find(name)
	if err != nil {
		return nil, err
	}
	if ifi.Flags&net.FlagUp == 0 {
		return nil, downError(name)
	}
	g := &Group{ring: Ring{
		Interface: name, BlockSize: blockSize, Blocks: mib << 20 / blockSize,
		Loopback: ifi.Flags&net.FlagLoopback != 0,
	}}
	var fanout int
	for i := 0; i < n; i++ {
		fd, what, err := g.open(ifi, o)
		switch {
		case err != nil:
		case o.Share != "":
			what = doFanout
			_, err = g.join(fd, sharedID(name, o.Share), false, o.Balance)
		case n > 1:
			what = doFanout
			fanout, err = g.join(fd, fanout, i == 0, o.Balance)
		}
		if err != nil {
			g.Close()
			return nil, explain(err, what, mib, n)
		}
	}
	// Only now let packets in: before its socket had joined the group, each
	// would have come several times.
	for _, f := range g.files {
		if err := attach(int(f.Fd()), o.Filter); err != nil {
			g.Close()
			return nil, explain(err, doFilter, mib, n)
		}
	}
	return g, nil
}

// open makes one socket that captures nothing yet. On an error it names the
// step; the descriptor is in the group as soon as it exists.
func (g *Group) open(ifi *net.Interface, o Options) (fd int, what string, err error) {
	// Protocol 0: no packets before bind.
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, doSocket, err
	}
	g.files = append(g.files, os.NewFile(uintptr(fd), "capture "+ifi.Name))
	if g.ring.Link == 0 {
		if g.ring.Link, err = linkType(fd, ifi.Name); err != nil {
			return fd, doVersion, err
		}
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fd, doVersion, err
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_RESERVE, reserve); err != nil {
		return fd, doVersion, err
	}
	if g.ring.Loopback {
		// An old kernel does not know it; the reader leaves the copies out too.
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	}
	err = unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
		Block_size:     uint32(g.ring.BlockSize),
		Block_nr:       uint32(g.ring.Blocks),
		Frame_size:     frameSize,
		Frame_nr:       uint32(g.ring.BlockSize / frameSize * g.ring.Blocks),
		Retire_blk_tov: retireAfter,
		Sizeof_priv:    privSize,
	})
	if err != nil {
		return fd, doRing, err
	}
	if err = attach(fd, dropAll); err != nil {
		return fd, doFilter, err
	}
	if !o.NoPromisc && !g.ring.Loopback {
		m := unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_PROMISC}
		if err = unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fd, doPromisc, err
		}
	}
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(unix.ETH_P_ALL), Ifindex: ifi.Index})
	return fd, doBind, err
}

// sharedID is the fanout id of a group that processes join by its name. The
// kernel chooses ids from 0 up, so these are in the upper half.
func sharedID(iface, share string) int {
	h := fnv.New32a()
	h.Write([]byte(iface + "\x00" + share))
	v := h.Sum32()
	return int((v>>16^v)&0x7fff | 0x8000)
}

// join puts a socket into the fanout group; for the first one of a group of our
// own the kernel chooses an id that nobody on this machine uses.
func (g *Group) join(fd, id int, first bool, b Balance) (int, error) {
	mode := unix.PACKET_FANOUT_HASH | unix.PACKET_FANOUT_FLAG_DEFRAG
	if b == ByHosts {
		mode = unix.PACKET_FANOUT_CBPF
	} else if b != "" && b != ByFlow {
		return 0, fmt.Errorf("balance %q: have %s, %s", b, ByFlow, ByHosts)
	}
	if g.ring.Loopback {
		mode |= unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
	}
	err := joinFanout(fd, id, mode, first)
	if errors.Is(err, unix.EINVAL) && g.ring.Loopback {
		mode &^= unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING // before Linux 5.17
		err = joinFanout(fd, id, mode, first)
	}
	if err == nil && b == ByHosts {
		err = setProgram(fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, byHosts()) // the same from each
	}
	if err != nil || !first {
		return id, err
	}
	v, err := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	return v & 0xffff, err
}

func joinFanout(fd, id, mode int, first bool) error {
	if first {
		mode |= unix.PACKET_FANOUT_FLAG_UNIQUEID
	}
	return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, mode<<16|id)
}

// dropAll lets no packet in.
var dropAll = []bpf.RawInstruction{{Op: unix.BPF_RET | unix.BPF_K}}

// attach sets the filter of a socket; none lets all packets in.
func attach(fd int, prog []bpf.RawInstruction) error {
	if len(prog) == 0 {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	}
	return setProgram(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, prog)
}

func setProgram(fd, level, opt int, prog []bpf.RawInstruction) error {
	raw := make([]unix.SockFilter, len(prog))
	for i, in := range prog {
		raw[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, level, opt, &unix.SockFprog{
		Len: uint16(len(raw)), Filter: (*unix.SockFilter)(unsafe.Pointer(&raw[0])),
	})
}

// Files returns the descriptors in order, for exec.Cmd.ExtraFiles; they stay
// the group's.
func (g *Group) Files() []*os.File { return g.files }

// Ring describes the rings, which are all alike, for FromFD.
func (g *Group) Ring() Ring { return g.ring }

// Stop ends the capture on all sockets for good, so that their readers can
// drain the rings and every packet until then is accounted for. The counters
// stay.
func (g *Group) Stop() error {
	var errs []error
	for _, f := range g.files {
		errs = append(errs, attach(int(f.Fd()), dropAll))
	}
	return errors.Join(errs...)
}

// Totals returns the counters of socket i. If a worker reads that ring, they
// are as of its last look, which is a second ago at most while it gets packets.
// It must not be called in the process that reads the ring.
func (g *Group) Totals(i int) (Totals, error) {
	fd := int(g.files[i].Fd())
	r, err := mapRing(fd, g.ring)
	if err != nil {
		return Totals{}, fmt.Errorf("capture %s: map ring: %w", g.ring.Interface, err)
	}
	defer unix.Munmap(r.mem)
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &l) == nil {
		err = r.settle(fd)
		l.Type = unix.F_UNLCK
		unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &l)
	}
	t := r.totals()
	t.Unread = r.unread()
	return t, err
}

// Close gives up the group's descriptors. A socket lives on while a worker has
// it.
func (g *Group) Close() error {
	var errs []error
	for _, f := range g.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Open captures for this process alone, without a supervisor: a group of one
// that belongs to the source.
func Open(iface string, o Options) (*Source, error) {
	g, err := OpenGroup(iface, 1, o)
	if err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(g.files[0].Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		g.Close()
		return nil, fmt.Errorf("capture %s: duplicate descriptor: %w", iface, err)
	}
	s, err := FromFD(uintptr(fd), g.ring, Resume{})
	if err != nil {
		g.Close()
		return nil, err
	}
	s.group = g
	return s, nil
}

// Link returns the link type of an interface (eth0 or af_packet::eth0), which a
// filter is compiled for.
func Link(iface string) (capture.LinkType, error) {
	name, err := Name(iface)
	if err != nil {
		return 0, err
	}
	link, err := func() (capture.LinkType, error) {
		if _, err := find(name); err != nil {
			return 0, err
		}
		// Any socket can be asked; this one needs no capability.
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0, err
		}
		defer unix.Close(fd)
		return linkType(fd, name)
	}()
	if err != nil {
		return 0, fmt.Errorf("capture %s: %w", name, err)
	}
	return link, nil
}

// linkType asks what packets of an interface begin with.
func linkType(fd int, name string) (capture.LinkType, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, req); err != nil {
		return 0, err
	}
	switch t := req.Uint16(); t { // sa_family of the hardware address
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return packet.LinkEthernet, nil
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_PPP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT:
		return packet.LinkRaw, nil
	case unix.ARPHRD_IEEE80211:
		return 105, nil // LINKTYPE_IEEE802_11
	case unix.ARPHRD_IEEE80211_RADIOTAP:
		return 127, nil // LINKTYPE_IEEE802_11_RADIOTAP
	default:
		return 0, fmt.Errorf("hardware type %d is not one we can read (have Ethernet, raw IP, 802.11)", t)
	}
}
