package websocket_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/api/websocket"
)

// python is an interpreter that has the websockets package.
func python(t testing.TB) string {
	t.Helper()
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(p, "-c", "import websockets").Run() == nil {
			return p
		}
	}
	t.Skip("needs python3 with websockets (Debian: python3-websockets)")
	return ""
}

func TestPython(t *testing.T) {
	w := open(t, websocket.Config{}, nil)
	out, err := exec.CommandContext(t.Context(), python(t), "testdata/client.py", w.url).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("%v\n%s", err, out)
	}
}
