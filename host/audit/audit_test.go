package audit

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLinesStayWhole(t *testing.T) {
	dir := t.TempDir()
	now := func() time.Time { return time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC) }
	var wg sync.WaitGroup
	for range 8 {
		l := New(dir, now) // as many processes have it
		wg.Go(func() {
			for range 20 {
				err := l.Add(Entry{Actor: Actor{Who: "a\nb\"", Role: "operate", From: "1.2.3.4:5", Via: "control"}, Op: "restart",
					On: "worker-1", Outcome: Failed, Error: strings.Repeat("ä", 10000) + "\xff"})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f, err := os.Open(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Mode().Perm()&0o027 != 0 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); n++ {
		var e Entry
		if err := json.Unmarshal(s.Bytes(), &e); err != nil || e.Who != "a\nb\"" || e.On != "worker-1" || !e.Time.Equal(now()) || len(e.Error) > 400 {
			t.Fatalf("%s: %v", s.Bytes(), err)
		}
	}
	if n != 160 {
		t.Errorf("%d lines", n)
	}
}

func TestGolden(t *testing.T) {
	dir := t.TempDir()
	l := New(dir, nil)
	if err := l.Add(Entry{Time: time.Date(2026, 11, 22, 5, 0, 0, 5e6, time.UTC), Actor: Actor{Who: "soc", Role: "operate", From: "192.0.2.7:50112", Via: "control"},
		Op: "restart", On: "worker-1", Outcome: Done}); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(l.Path())
	const want = `{"ts":"2026-11-22T05:00:00.005Z","who":"soc","role":"operate","from":"192.0.2.7:50112","via":"control","op":"restart","on":"worker-1","outcome":"done"}` + "\n"
	if string(text) != want {
		t.Errorf("%s", text)
	}
}

func TestNoFolder(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "none"), nil)
	if l.Ready() == nil || l.Add(Entry{}) == nil {
		t.Error("no error")
	}
	var none *Log
	if none.Ready() != nil || none.Add(Entry{}) != nil {
		t.Error("the zero value writes nothing")
	}
}
