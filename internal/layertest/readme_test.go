package layertest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
)

// A README below a wing is a driver's, a contract's or a door's: who copies the
// folder finds the same sections in each.
func TestReadmesHaveTheSameSections(t *testing.T) {
	root := testenv.Root(t)
	section := regexp.MustCompile(`(?m)^## (.*)$`)
	found := 0
	for _, wing := range []string{"traffic", "policy", "bus", "logs", "host", "api"} {
		err := filepath.WalkDir(filepath.Join(root, wing), func(path string, e os.DirEntry, err error) error {
			if err != nil || e.Name() != "README.md" {
				return err
			}
			found++
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			var got []string
			for _, m := range section.FindAllStringSubmatch(string(text), -1) {
				got = append(got, m[1])
			}
			if s := strings.Join(got, " - "); s != "Name - What - Settings - Example - Limits" {
				t.Errorf("%s: sections %s", path, s)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found == 0 {
		t.Error("no README was looked at")
	}
}
