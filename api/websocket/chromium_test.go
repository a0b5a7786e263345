package websocket_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/chromium"
	"github.com/picket-nsm/picket/zeek/event"
)

// Chromium's own WebSocket, from a page of an origin that may connect and from
// one that may not.
func TestChromium(t *testing.T) {
	b := chromium.Start(t)
	script, err := os.ReadFile("testdata/chromium.js")
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<!doctype html><title>page</title><script>%s</script>", script)
	}))
	t.Cleanup(site.Close)
	ready := make(chan struct{}, 1)
	handle := func(backend.Message) {
		select {
		case ready <- struct{}{}:
		default:
		}
	}
	// The page's origin is allowed for both; it is asked for by two names.
	elsewhere := strings.Replace(site.URL, "127.0.0.1", "localhost", 1)
	w := open(t, websocket.Config{Origins: []string{site.URL}}, handle)
	if err := w.node.Subscribe("/js/ready"); err != nil {
		t.Fatal(err)
	}
	page := b.Page(400, 300)
	page.Open(site.URL)
	page.Wait("the page", `document.title === "page"`)
	go func() {
		<-ready
		w.publish("/js/b", event.New("from::node"))
	}()
	var got string
	page.Must(fmt.Sprintf("run(%q)", w.url), &got)
	if got != "ok" {
		t.Error(got)
	}

	stranger := b.Page(400, 300)
	stranger.Open(elsewhere)
	stranger.Wait("the page", `document.title === "page"`)
	for _, path := range []string{websocket.PathV1, websocket.PathV2} {
		// A browser tells a page no more of a refusal than that it failed.
		var r []any
		stranger.Must(fmt.Sprintf("refused(%q)", w.base+path), &r)
		if fmt.Sprint(r) != "[false 1006]" {
			t.Errorf("a page of a foreign origin: opened, code: %v", r)
		}
	}
	// The console has the status, and our log the reason.
	if x := strings.Join(stranger.Trouble(), "\n"); !strings.Contains(x, "403") {
		t.Errorf("console: %s", x)
	}
	until(t, "the reason", func() bool { return strings.Contains(w.log.String(), "origin "+elsewhere+" is foreign") })
	if n := w.door.Counters()["refused.origin"]; n != 2 {
		t.Errorf("refused: %v", w.door.Counters())
	}
}
