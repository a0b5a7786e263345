package nearest_test

import (
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/nearest"
)

func TestOf(t *testing.T) {
	words := []string{"workers", "loggers", "proxies", "json", "W"}
	for _, c := range []struct{ word, want string }{
		{"wokers", "workers"}, {"Workers", "workers"}, {"worker", "workers"}, {"jsn", "json"}, {"jsno", "json"},
		{"frobnicate", ""}, {"", ""}, {"x", ""}, {strings.Repeat("workers", 100), ""},
	} {
		if got := nearest.Of(c.word, words); got != c.want {
			t.Errorf("%q: %q, want %q", c.word, got, c.want)
		}
	}
}
