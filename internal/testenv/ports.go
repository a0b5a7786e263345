package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports returns the first of n TCP ports in a row that are this test's until it
// ends, for what must know its address before it listens, or listens there again.
// They are below those that systems give to outgoing connections: one of these may
// be anybody's a moment after it was free. Other tests that ask here, in other
// processes too, do not get them: the UDP ports of the same numbers say that they
// are taken.
func Ports(t testing.TB, n int) int {
	t.Helper()
	for range 1000 {
		first := 10_000 + rand.IntN(20_000)
		if hold(t, first, n) {
			return first
		}
	}
	t.Fatalf("no %d ports in a row are free", n)
	return 0
}

// hold takes n ports, all or none.
func hold(t testing.TB, first, n int) bool {
	var held []net.PacketConn
	letGo := func() {
		for _, c := range held {
			c.Close()
		}
	}
	for i := range n {
		at := fmt.Sprintf("127.0.0.1:%d", first+i)
		c, err := net.ListenPacket("udp4", at)
		if err == nil {
			held = append(held, c)
			var l net.Listener
			if l, err = net.Listen("tcp4", at); err == nil {
				l.Close()
			}
		}
		if err != nil {
			letGo()
			return false
		}
	}
	t.Cleanup(letGo)
	return true
}
