package state

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func claim(i int) *Claim {
	return &Claim{Producer: "worker-1", Start: 1, Seq: uint64(i), Key: fmt.Sprint("key ", i), TTL: 60, Now: 1e9}
}

// write makes a journal of n grants and returns its bytes.
func write(t *testing.T, dir string, n int) []byte {
	t.Helper()
	tab := NewTable(0)
	j, _, err := openJournal(dir, tab)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		c := claim(i)
		tab.Ask(c)
		if err := j.note(c.Key, Grant{c.ID(), c.Now, c.Now + c.TTL}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read opens a journal of these bytes and returns how many of the first n grants it has.
func read(t *testing.T, b []byte, n int) (have int, cut int64) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journalName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // opening compacts; opening again finds the same
		tab := NewTable(0)
		j, c, err := openJournal(dir, tab)
		if err != nil {
			t.Fatal(err)
		}
		if cut == 0 {
			cut = c
		}
		_ = j.close()
		for have = 0; have < n; have++ {
			other := *claim(have)
			other.Producer = "worker-2"
			if granted, _ := tab.Ask(&other); granted {
				break
			}
			if granted, fresh := tab.Ask(claim(have)); !granted || fresh {
				t.Fatalf("grant %d: the claim that has it is not granted again", have)
			}
		}
	}
	return have, cut
}

func TestJournalCutAtEveryByte(t *testing.T) {
	const n = 5
	b := write(t, t.TempDir(), n)
	one := (len(b) - len(journalMagic)) / n
	for i := range len(b) + 1 {
		want := max(0, (i-len(journalMagic))/one)
		if i < len(journalMagic) {
			want = 0
		}
		have, cut := read(t, b[:i], n)
		if have != want || i >= len(journalMagic) && cut != int64((i-len(journalMagic))%one) {
			t.Errorf("cut at %d: %d grants, want %d; %d bytes cut", i, have, want, cut)
		}
	}
}

func TestJournalFlippedBits(t *testing.T) {
	const n = 5
	b := write(t, t.TempDir(), n)
	one := (len(b) - len(journalMagic)) / n
	for i := len(journalMagic); i < len(b); i++ {
		c := append([]byte(nil), b...)
		c[i] ^= 0x10
		if have, _ := read(t, c, n); have != (i-len(journalMagic))/one {
			t.Errorf("flipped at %d: %d grants", i, have)
		}
	}
	c := append([]byte(nil), b...)
	c[0] = 'X'
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journalName), c, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openJournal(dir, NewTable(0)); err == nil {
		t.Error("another file was taken, and would be overwritten")
	}
}

func TestJournalCompacts(t *testing.T) {
	dir := t.TempDir()
	big := write(t, dir, 1000)
	tab := NewTable(10)
	j, _, err := openJournal(dir, tab)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	if tab.Len() != 10 || tab.Shed() != 990 || j.size >= int64(len(big))/50 || j.records != 10 {
		t.Errorf("%d grants, %d shed, %d bytes of %d", tab.Len(), tab.Shed(), j.size, len(big))
	}
	if _, err := os.Stat(j.path() + ".new"); err == nil {
		t.Error("the new journal was left beside the old")
	}
}

// A grant that cannot be written is not given, and can be asked for again.
func TestUnwrittenGrant(t *testing.T) {
	tab := NewTable(0)
	j, _, err := openJournal(t.TempDir(), tab)
	if err != nil {
		t.Fatal(err)
	}
	o := &Owner{table: tab, journal: j}
	_ = j.f.Close() // as a disk that fails
	o.answer(asked{*claim(1), "w1"})
	if s := o.Status(); s.Answered != 0 || s.Unsaved != 1 || s.Trouble == "" {
		t.Errorf("%+v", s)
	}
	other := claim(1)
	other.Producer = "worker-2"
	if granted, fresh := tab.Ask(other); !granted || !fresh {
		t.Error("the grant was not taken back")
	}
}

func TestTableForgets(t *testing.T) {
	tab := NewTable(0)
	for i := range 5000 {
		c := claim(i)
		c.Now += float64(i)
		if granted, _ := tab.Ask(c); !granted {
			t.Fatalf("claim %d", i)
		}
	}
	if n := tab.Len(); n > 130 || len(tab.keys) != n || tab.Shed() != 0 {
		t.Errorf("%d grants and %d keys after their time", n, len(tab.keys))
	}
}

func FuzzJournal(f *testing.F) {
	f.Add(appendRecord(nil, "key", Grant{ID{"worker-1", 1, 2}, 1, 2}))
	f.Add([]byte{0, 0, 0, 34, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for {
			key, g, n, ok := cutRecord(b)
			if !ok {
				return
			}
			if got := string(appendRecord(nil, key, g)); got != string(b[:n]) {
				t.Fatalf("record %x became %x", b[:n], got)
			}
			b = b[n:]
		}
	})
}
