package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
)

// TestDeployed: the configuration that comes with the systemd unit is a good one,
// and names what the unit lets it write.
func TestDeployed(t *testing.T) {
	c, err := Load(filepath.Join(testenv.Root(t), "deploy", "systemd", "cluster.toml"))
	if err != nil || c.Cluster.Spool != "/var/lib/picket/spool" || c.Logs.Dir != "/var/log/picket" || len(c.Interfaces) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestRealZeekPages: the configurations of the pages about real Zeek are good ones.
func TestRealZeekPages(t *testing.T) {
	for _, page := range []string{"docs/howto/real-zeek.md", "host/bridge/README.md"} {
		text, err := os.ReadFile(filepath.Join(testenv.Root(t), page))
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```toml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s: no example", page)
		}
		for _, b := range blocks {
			b, _, _ = strings.Cut(b, "```")
			file := filepath.Join(t.TempDir(), "cluster.toml")
			if err := os.WriteFile(file, []byte(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if c, err := Load(file); err != nil || len(c.Zeek) == 0 {
				t.Errorf("%s: %v\n%s", page, err, b)
			}
		}
	}
}
