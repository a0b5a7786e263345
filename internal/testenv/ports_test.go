package testenv

import (
	"fmt"
	"net"
	"testing"
)

// Whoever asks gets ports that can be listened on, again and again, and that
// nobody else gets before the test ends.
func TestPorts(t *testing.T) {
	taken := map[int]bool{}
	for range 50 {
		first := Ports(t, 3)
		for p := first; p < first+3; p++ {
			if taken[p] {
				t.Fatalf("port %d is given twice", p)
			}
			taken[p] = true
			for range 2 {
				l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
				if err != nil {
					t.Fatal(err)
				}
				l.Close()
			}
		}
		if hold(t, first+2, 1) {
			t.Fatalf("port %d is given again", first+2)
		}
	}
	var first int
	t.Run("ends", func(t *testing.T) { first = Ports(t, 2) })
	if !hold(t, first, 2) {
		t.Error("the ports are kept after the test's end")
	}
}
