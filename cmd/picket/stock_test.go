package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/policy/builtin/ssl"
	"github.com/picket-nsm/picket/standard"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/stock"
)

// TestStockColumns: all logs that Picket writes have the columns of Zeek 9.0.
func TestStockColumns(t *testing.T) {
	schemas := node.Schemas(standard.Protocols(), node.Capture{Stats: true, CaptureLoss: true})
	for _, version := range stock.Versions() {
		z, err := stock.New(version, true)
		if err != nil {
			t.Fatal(err)
		}
		var misfits []string
		for _, s := range schemas {
			if err := z.Fit(s); err != nil {
				misfits = append(misfits, s.Path)
			}
		}
		want := "[ssh ssl]" // local.zeek has more
		if version != "9.0" {
			want = "[ssh ntp_control ntp_private ssl]"
		}
		if got := fmt.Sprint(misfits); got != want {
			t.Errorf("Zeek %s does not take %s, want %s", version, got, want)
		}
	}
	seen := map[string]bool{}
	for _, s := range schemas {
		seen[s.Path] = true
	}
	for _, path := range []string{"conn", "dns", "http", "ssl", "files", "x509", "weird", "reporter", "cluster", "stats", "capture_loss"} {
		if !seen[path] {
			t.Errorf("%s is not among the %d", path, len(schemas))
		}
	}
}

func TestStockFindings(t *testing.T) {
	schemas := slices.DeleteFunc(node.Schemas(standard.Protocols(), node.Capture{Options: node.Options{Fingerprints: true}}), func(s *record.Schema) bool { return s.Path != "ssl" })
	schemas = append(schemas, ssl.Schema(ssl.Default()))
	got := stockFindings([]config.Zeek{{Name: "w", Role: "worker"}, {Name: "a", Role: "logger", Scripts: "default"}, {Name: "b", Role: "logger", Version: "8.1"}}, schemas)
	var lines []string
	for _, f := range got {
		lines = append(lines, fmt.Sprintf("%s %s: %s", f.Level, f.Subject, f.Text))
	}
	want := `fail zeek a: ssl.log: Zeek 9.0 does not have the columns ja3, ja3s, ja4, and throws rows away that do; turn them off, or let it be no logger of this cluster
ok zeek a: 1 logs have the columns of Zeek 9.0
fail zeek b: ssl.log: Zeek 8.1 with local.zeek does not have the columns ja3, ja3s, ja4, and throws rows away that do; turn them off, or let it be no logger of this cluster
warn zeek b: picket's own loggers alone write what it does not take: ssl.log: Zeek 8.1 with local.zeek has the columns validation_status besides, and throws rows away without them
ok zeek b: 0 logs have the columns of Zeek 8.1 with local.zeek`
	if s := strings.Join(lines, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
	if got.failure() == nil {
		t.Error("no failure")
	}
}
