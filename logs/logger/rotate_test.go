package logger

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/zeek/record"
)

func TestNext(t *testing.T) {
	east := time.FixedZone("east", 3600)
	for _, c := range []struct {
		every time.Duration
		at    string
		now   string
		want  string
	}{
		{0, "", "2026-03-04T05:06:07Z", "0001-01-01T00:00:00Z"},
		{time.Hour, "", "2026-03-04T05:06:07Z", "2026-03-04T06:00:00Z"},
		{time.Hour, "", "2026-03-04T05:00:00Z", "2026-03-04T06:00:00Z"},
		{24 * time.Hour, "", "2026-03-04T05:06:07Z", "2026-03-05T00:00:00Z"},
		{24 * time.Hour, "02:30", "2026-03-04T05:06:07Z", "2026-03-05T01:30:00Z"}, // 02:30 in the east
		{24 * time.Hour, "08:00", "2026-03-04T05:06:07Z", "2026-03-04T07:00:00Z"},
		{6 * time.Hour, "08:00", "2026-03-04T05:06:07Z", "2026-03-04T07:00:00Z"},
		{6 * time.Hour, "23:00", "2026-03-04T05:06:07Z", "2026-03-04T10:00:00Z"},
		{90 * time.Second, "", "1970-01-01T00:00:10Z", "1970-01-01T00:01:30Z"},
	} {
		now, _ := time.Parse(time.RFC3339, c.now)
		r := Rotation{Every: c.every, At: c.at}
		if got := r.Next(now.In(east)).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("every %v at %q, now %s: %s, want %s", c.every, c.at, c.now, got, c.want)
		}
	}
}

func TestRotate(t *testing.T) {
	for _, c := range []struct {
		name    string
		r       Rotation
		archive string
		want    []string // in the archive
	}{
		{"zeek", Rotation{Every: time.Hour}, "", []string{
			"conn.2026-03-04-05-06-07.log", "conn.2026-03-04-06-30-00.log", "conn.log", "dns.2026-03-04-05-06-07.log"}},
		{"queue", Rotation{Every: time.Hour, Queue: true}, "log-queue", []string{
			"conn__2026-03-04-05-06-07__2026-03-04-06-00-00__.log", "conn__2026-03-04-06-30-00__2026-03-04-07-00-00__.log",
			"dns__2026-03-04-05-06-07__2026-03-04-06-00-00__.log"}},
		{"suffix", Rotation{Every: time.Hour, Queue: true, Suffix: "logger-1"}, "log-queue", []string{
			"conn__2026-03-04-05-06-07__2026-03-04-06-00-00__log_suffix=logger-1__.log",
			"conn__2026-03-04-06-30-00__2026-03-04-07-00-00__log_suffix=logger-1__.log",
			"dns__2026-03-04-05-06-07__2026-03-04-06-00-00__log_suffix=logger-1__.log"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, func(cfg *Config) { cfg.Rotate = c.r })
			where := "logs"
			if c.archive != "" {
				b.l.cfg.Archive = filepath.Join(b.dir, c.archive)
				b.cfg.Archive = b.l.cfg.Archive
				where = c.archive
			}
			dns := record.New("DNS::LOG", "dns", connSchema.Fields)
			b.handle(encode(t, connSchema, "w", 5, 1, 0, 2), encode(t, dns, "w", 5, 2, 0, 2))
			b.l.Tick(b.now)
			b.now = time.Date(2026, 3, 4, 6, 0, 0, 0, time.UTC)
			b.l.Tick(b.now)
			b.now = b.now.Add(30 * time.Minute)
			b.l.Tick(b.now)
			b.handle(encode(t, connSchema, "w", 5, 3, 2, 2))
			b.life() // A crash with an hour still going: the file grows on.
			b.handle(encode(t, connSchema, "w", 5, 4, 4, 2))
			b.now = b.now.Add(30 * time.Minute)
			if c.name == "suffix" {
				b.life() // A crash over the moment: rotated at the start.
			} else {
				b.l.Tick(b.now)
			}
			b.now = b.now.Add(time.Minute)
			b.handle(encode(t, connSchema, "w", 5, 5, 6, 2))
			got := b.files(where)
			if !slices.Equal(got, c.want) {
				t.Fatalf("files %v", got)
			}
			text, _ := os.ReadFile(filepath.Join(b.dir, where, c.want[1]))
			if got := rows(t, string(text)); !slices.Equal(got, []int{2, 3, 4, 5}) || !strings.Contains(string(text), "#close\t2026-03-04-07-00-00") {
				t.Errorf("%v in %s", got, text)
			}
			if err := b.l.stop(); err != nil { // The last rotation.
				t.Fatal(err)
			}
			if slices.Contains(b.files("logs"), "conn.log") {
				t.Error("conn.log is left after the last rotation")
			}
		})
	}
}

func TestNeverOverwrite(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Rotate.Every = time.Hour })
	old := filepath.Join(b.cfg.Dir, "conn.log")
	os.WriteFile(old, []byte("#old\n"), 0o644)
	os.Chtimes(old, b.now, b.now)
	b.handle(encode(t, connSchema, "w", 5, 1, 0, 2))
	b.l.rotateAll(b.now)
	b.handle(encode(t, connSchema, "w", 5, 2, 2, 2))
	b.l.rotateAll(b.now)
	if got, want := b.files("logs"), []string{"conn.2026-03-04-05-06-07.1.log", "conn.2026-03-04-05-06-07.2.log", "conn.2026-03-04-05-06-07.log"}; !slices.Equal(got, want) {
		t.Fatalf("%v", got)
	}
	if b.read("conn.2026-03-04-05-06-07.log") != "#old\n" {
		t.Error("the old file is not what it was")
	}
	o := newBench(t, func(c *Config) { c.Overwrite = true })
	os.WriteFile(filepath.Join(o.cfg.Dir, "conn.log"), []byte(strings.Repeat("#old\n", 1000)), 0o644)
	o.handle(encode(t, connSchema, "w", 5, 1, 0, 2))
	if got := o.read("conn.log"); strings.Contains(got, "#old") || len(rows(t, got)) != 2 {
		t.Errorf("%s", got)
	}
}
