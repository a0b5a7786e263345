// Package chromium drives a real Chromium from Go tests, over the DevTools
// protocol: it opens pages, types, clicks, takes pictures, and tells what a page
// asked the network for and what it complained of.
//
// Tests of doors that browsers come through use it. It owns one browser process
// and its folder, both gone when the test ends. It never installs anything: where
// there is no Chromium the test skips.
package chromium

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience is how long anything may take; the machine may be busy.
const patience = 60 * time.Second

// Browser is a running Chromium.
type Browser struct {
	t    testing.TB
	conn *websocket.Conn

	mu    sync.Mutex
	next  int
	wait  map[int]chan reply
	pages map[string]*Page // by session
	err   error
	over  chan struct{}
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// Start runs a Chromium until the test ends, or skips the test.
func Start(t testing.TB) *Browser {
	t.Helper()
	path := ""
	for _, name := range []string{os.Getenv("PICKET_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); name != "" && err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("needs the program chromium")
	}
	dir, err := os.MkdirTemp("", "picket-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-extensions", "--disable-default-apps", "--mute-audio", "--hide-scrollbars", "--force-color-profile=srgb",
		"--disable-dev-shm-usage", "--user-data-dir=" + dir, "--remote-debugging-port=0", "about:blank",
	}
	if os.Geteuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...)
	}
	cmd := exec.Command(path, args...)
	own(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, wait: map[int]chan reply{}, pages: map[string]*Page{}, over: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		if b.conn != nil {
			_ = b.conn.CloseNow()
			<-b.over
		}
		kill(cmd)
		<-ended
		// Its children may write for another moment.
		for range 50 {
			if os.RemoveAll(dir) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	url := ""
	for end := time.Now().Add(patience); url == ""; time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(filepath.Join(dir, "DevToolsActivePort")); err == nil {
			if port, path, ok := strings.Cut(strings.TrimSpace(string(text)), "\n"); ok {
				url = "ws://127.0.0.1:" + port + path
				continue
			}
		}
		select {
		case <-ended:
			t.Skip("chromium does not start here")
		default:
		}
		if time.Now().After(end) {
			t.Fatal("chromium does not open its port")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if b.conn, _, err = websocket.Dial(ctx, url, nil); err != nil {
		t.Fatal(err)
	}
	b.conn.SetReadLimit(256 << 20)
	go b.read()
	return b
}

func (b *Browser) read() {
	defer close(b.over)
	for {
		_, text, err := b.conn.Read(context.Background())
		if err != nil {
			b.mu.Lock()
			b.err = err
			for id, ch := range b.wait {
				close(ch)
				delete(b.wait, id)
			}
			b.mu.Unlock()
			return
		}
		var m struct {
			ID        int
			SessionID string
			Method    string
			Params    json.RawMessage
			reply
		}
		if json.Unmarshal(text, &m) != nil {
			continue
		}
		b.mu.Lock()
		if ch := b.wait[m.ID]; m.ID != 0 && ch != nil {
			ch <- m.reply
			delete(b.wait, m.ID)
		}
		p := b.pages[m.SessionID]
		b.mu.Unlock()
		if m.Method != "" && p != nil {
			p.event(m.Method, m.Params)
		}
	}
}

// call sends a command and waits for its answer, which is put into out.
func (b *Browser) call(session, method string, params, out any) error {
	b.mu.Lock()
	if b.err != nil {
		defer b.mu.Unlock()
		return b.err
	}
	b.next++
	id, ch := b.next, make(chan reply, 1)
	b.wait[id] = ch
	b.mu.Unlock()
	if params == nil {
		params = struct{}{}
	}
	m := map[string]any{"id": id, "method": method, "params": params}
	if session != "" {
		m["sessionId"] = session
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.conn.Write(ctx, websocket.MessageText, text); err != nil {
		return err
	}
	select {
	case r, ok := <-ch:
		if !ok {
			return fmt.Errorf("%s: chromium has gone", method)
		}
		if r.Error != nil {
			return fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		if out != nil {
			return json.Unmarshal(r.Result, out)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: no answer from chromium", method)
	}
}
