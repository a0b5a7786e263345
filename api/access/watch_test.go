package access_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/host/audit"
)

// until waits for something that takes a second or two.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A changed file is taken while the door is open: who is new comes in, who is gone
// does not, and what they still were being told ends. A broken one changes nothing,
// and is told until it is mended.
func TestFileChanges(t *testing.T) {
	dir := t.TempDir()
	file := writeACL(t, dir)
	write := func(text string) {
		t.Helper()
		tmp := filepath.Join(dir, "tmp")
		if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, file); err != nil {
			t.Fatal(err)
		}
	}
	client := func(name, role, token string) string {
		return fmt.Sprintf("[[client]]\nname = %q\nrole = %q\ntoken_sha256 = %q\n", name, role, sum(token))
	}
	var mu sync.Mutex
	var told []string
	w := open(t, access.Config{ACL: file}, access.Deps{Closed: true, Told: func(trouble string) {
		mu.Lock()
		told = append(told, trouble)
		mu.Unlock()
	}})
	last := func() string {
		mu.Lock()
		defer mu.Unlock()
		if len(told) == 0 {
			return "nothing"
		}
		return told[len(told)-1]
	}
	stream := func(token string) *bufio.Reader {
		t.Helper()
		r, err := http.NewRequest("GET", w.url+"/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		b := bufio.NewReader(resp.Body)
		if _, err := b.Discard(len("first")); err != nil {
			t.Fatal(err)
		}
		return b
	}
	eye, hand := stream("see"), stream("do")
	cut := make(chan struct{})
	go func() {
		_, _ = hand.ReadByte()
		close(cut)
	}()
	write(client("hand", "operate", "do") + client("nose", "read", "smell"))
	until(t, "the file is taken", func() bool { return w.guard.Counters()["acl.taken"] == 1 })
	if _, err := eye.ReadByte(); err == nil {
		t.Error("the stream of one who is gone goes on")
	}
	check := func(token string, want int) {
		t.Helper()
		w.clock.add(2 * time.Second) // each refusal gets a line
		if status, body := w.ask(t, "GET", "/read", token); status != want {
			t.Errorf("%s: %d %s, want %d", token, status, body, want)
		}
	}
	check("see", 401)
	check("do", 200)
	check("smell", 200)

	write("[[client]]\nname = \"hand\"\nrule = \"read\"\n")
	until(t, "it is told what is wrong", func() bool {
		return strings.Contains(last(), `acl.toml:3: unknown key "client.rule"; the file as it was before still counts`)
	})
	check("do", 200)
	check("smell", 200)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	until(t, "it is told that there is none", func() bool { return strings.Contains(last(), "no such file") })
	check("do", 200)

	write(client("hand", "read", "do") + client("nose", "read", "smell"))
	until(t, "all is well", func() bool { return last() == "" && w.guard.Counters()["acl.taken"] == 2 })
	if status, body := w.ask(t, "POST", "/do", "do"); status != 403 {
		t.Errorf("who may only read now: %d %s", status, body)
	}
	select {
	case <-cut:
		t.Error("the stream of one who may read all the time has ended")
	default:
	}
	var got []string
	for _, e := range entries(t, w.log) {
		if e.Op == "acl" {
			got = append(got, e.Outcome+" "+e.From+" "+e.What+strings.ReplaceAll(e.Error, file, "FILE"))
		}
	}
	want := []string{
		audit.Done + " file " + file + " new nose; gone events, eye",
		audit.Failed + " file " + file + ` FILE:3: unknown key "client.rule"`,
		audit.Failed + " file " + file + " acl: open FILE: no such file or directory",
		audit.Done + " file " + file + " changed hand",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("record:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
