package afpacket

import (
	"errors"
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethFlagLRO is ETH_FLAG_LRO of ETHTOOL_GFLAGS.
const ethFlagLRO = 1 << 15

// Check looks at an interface (eth0 or af_packet::eth0) before a capture: does
// it exist, is it up, may we capture, and would the card change packets before
// we see them. It changes nothing. The first Fail ends it.
func Check(iface string) []Finding {
	name, err := Name(iface)
	if err != nil {
		return []Finding{{Fail, err.Error()}}
	}
	fail := func(err error) []Finding {
		return []Finding{{Fail, fmt.Sprintf("capture %s: %v", name, err)}}
	}
	ifi, err := find(name)
	if err != nil {
		return fail(err)
	}
	if ifi.Flags&net.FlagUp == 0 {
		return fail(downError(name))
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(explain(err, doSocket, 0, 0))
	}
	defer unix.Close(fd)
	if _, err := linkType(fd, name); err != nil {
		return fail(err)
	}
	found := []Finding{{OK, fmt.Sprintf("%s is up, MTU %d", name, ifi.MTU)}}
	if flags, err := ifFlags(fd, name); err == nil && flags&unix.IFF_RUNNING == 0 {
		found = append(found, Finding{Warn, fmt.Sprintf("%s has no carrier: is the cable or the tap connected?", name)})
	}
	if ifi.Flags&net.FlagLoopback != 0 {
		return append(found, Finding{OK, name + " is a loopback: each packet is taken once, when it arrives"})
	}
	m := unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
		found = append(found, Finding{Warn, fmt.Sprintf("%s: no promiscuous mode (%v): only this host's own traffic is seen", name, err)})
	} else {
		found = append(found, Finding{OK, name + " allows promiscuous mode"})
	}
	return append(found, offloads(fd, name)...)
}

// offloads warns of what merges packets on the card or in the kernel: sizes,
// packet counts and gaps then differ from the wire.
func offloads(fd int, name string) []Finding {
	var found []Finding
	for _, o := range []struct {
		cmd       uint32
		bit       uint32
		key, text string
	}{
		{unix.ETHTOOL_GGRO, ^uint32(0), "gro", "received packets are merged"},
		{unix.ETHTOOL_GFLAGS, ethFlagLRO, "lro", "received packets are merged by the card"},
		{unix.ETHTOOL_GTSO, ^uint32(0), "tso", "this host's own packets are seen before they are split"},
		{unix.ETHTOOL_GGSO, ^uint32(0), "gso", "this host's own packets are seen before they are split"},
	} {
		v, err := ethtool(fd, name, o.cmd)
		switch {
		case errors.Is(err, unix.EOPNOTSUPP), err == nil && v&o.bit == 0:
		case err != nil:
			return append(found, Finding{Warn, fmt.Sprintf("%s: cannot read offload settings: %v", name, err)})
		default:
			found = append(found, Finding{Warn, fmt.Sprintf("%s has %s on (%s); switch it off with: ethtool -K %s %s off", name, o.key, o.text, name, o.key)})
		}
	}
	if found == nil {
		found = append(found, Finding{OK, name + " merges no packets (gro, lro, tso, gso off)"})
	}
	return found
}

// ethtool reads one number by SIOCETHTOOL (linux/ethtool.h, struct
// ethtool_value in a struct ifreq).
func ethtool(fd int, name string, cmd uint32) (uint32, error) {
	value := struct{ cmd, data uint32 }{cmd: cmd}
	req := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return 0, errno
	}
	return value.data, nil
}
