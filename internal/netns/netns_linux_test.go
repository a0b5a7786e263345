package netns

import (
	"net"
	"strings"
	"testing"
)

func TestVeth(t *testing.T) {
	a, b := New(t), New(t)
	Veth(t, a, "v0", b, "v1")
	for ns, want := range map[*NS]string{a: "v0", b: "v1"} {
		err := ns.Do(func() error {
			_, err := net.InterfaceByName(want)
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", ns.Name, err)
		}
		out, err := ns.Command("ip", "-o", "addr").CombinedOutput()
		if err != nil || strings.Contains(string(out), want+"    inet6") {
			t.Errorf("%s: IPv6 address on a quiet interface (%v):\n%s", ns.Name, err, out)
		}
	}
	if _, err := net.InterfaceByName("v0"); err == nil {
		t.Error("v0 is outside of its namespace")
	}
}
