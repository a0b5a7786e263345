package procinfo_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/procinfo"
)

func TestListener(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	for _, on := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"} {
		l, err := net.Listen("tcp", on)
		if err != nil {
			t.Logf("%s: %v", on, err)
			continue
		}
		a := netip.MustParseAddrPort(l.Addr().String())
		if got := procinfo.Listener(a); !strings.HasSuffix(got, fmt.Sprintf(", pid %d", os.Getpid())) {
			t.Errorf("%v: %q", a, got)
		}
		l.Close()
		if got := procinfo.Listener(a); got != "" {
			t.Errorf("%v closed: %q", a, got)
		}
	}
}
