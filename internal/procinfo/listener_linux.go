package procinfo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// Listener says who listens on a TCP address, for people: "zeek, pid 7", or
// whose process it is where it may not be looked at. Empty: nobody does.
func Listener(addr netip.AddrPort) string {
	inode, uid := listening(addr)
	if inode == "" {
		return ""
	}
	want := "socket:[" + inode + "]"
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // ours only, or all for root
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err != nil || to != want {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s, pid %s", bytes.TrimSpace(name), pid)
	}
	if u, err := user.LookupId(uid); err == nil {
		uid = u.Username
	}
	return "a process of user " + uid
}

// listening finds the socket in the kernel's tables: its inode and owner.
func listening(addr netip.AddrPort) (inode, uid string) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(text) {
			f := strings.Fields(string(line))
			const listen = "0A"
			if len(f) < 10 || f[3] != listen {
				continue
			}
			ip, port, ok := kernelAddr(f[1])
			if ok && port == addr.Port() && (ip == addr.Addr().Unmap() || ip.IsUnspecified() || addr.Addr().IsUnspecified()) {
				return f[9], f[7]
			}
		}
	}
	return "", ""
}

// kernelAddr reads 0100007F:6C6F, an address in words of the machine's byte order.
func kernelAddr(s string) (netip.Addr, uint16, bool) {
	host, p, ok := strings.Cut(s, ":")
	port, err := strconv.ParseUint(p, 16, 16)
	if !ok || err != nil || len(host)%8 != 0 {
		return netip.Addr{}, 0, false
	}
	var b []byte
	for i := 0; i < len(host); i += 8 {
		w, err := strconv.ParseUint(host[i:i+8], 16, 32)
		if err != nil {
			return netip.Addr{}, 0, false
		}
		b = binary.NativeEndian.AppendUint32(b, uint32(w))
	}
	ip, ok := netip.AddrFromSlice(b)
	return ip.Unmap(), uint16(port), ok
}
