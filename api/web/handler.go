package web

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/host/status"
)

// page is the dashboard as browsers get it: written by hand, served as it is.
//
//go:embed page
var page embed.FS

// The paths of the feed and of what can be asked.
const (
	PathFeed    = "/api/feed"
	PathStatus  = "/api/status"
	PathNode    = "/api/node"
	PathOutput  = "/api/output"
	PathSearch  = "/api/search"
	PathRestart = "/api/restart"
)

// Handler answers all paths. It wants the guard before it.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	add := func(path string, need access.Role, f http.HandlerFunc) {
		mux.Handle(path, s.deps.Guard.Require(need, f))
	}
	mux.HandleFunc("GET /", s.static)
	add("GET "+PathFeed, access.Read, s.feed.serve)
	add("GET "+PathStatus, access.Read, s.status)
	add("GET "+PathNode, access.Read, s.node)
	add("GET "+PathOutput, access.Read, s.limit(s.output))
	add("GET "+PathSearch, access.Read, s.limit(s.search))
	add("POST "+PathRestart, access.Operate, s.limit(s.restart))
	return front(mux)
}

// static serves the page's files. They hold nothing of the cluster, so they need
// no token: the page asks for one.
func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	kind, ok := map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
		".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}[filepath.Ext(name)]
	text, err := fs.ReadFile(page, "page/"+name)
	if err != nil || !ok {
		access.Fail(w, http.StatusNotFound, "there is nothing of that name")
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(text) // The client has gone; nobody is left to tell.
}

// status is what picket status --json prints, of the last look.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	st, _ := s.feed.last()
	if st == nil {
		access.Fail(w, http.StatusServiceUnavailable, "nothing has been seen yet")
		return
	}
	answer(w, st)
}

// named finds the node that a request names.
func (s *Server) named(w http.ResponseWriter, name string) (*status.Status, *status.Node) {
	st, _ := s.feed.last()
	if st != nil {
		if i := slices.IndexFunc(st.Nodes, func(n status.Node) bool { return n.Name == name }); i >= 0 {
			return st, &st.Nodes[i]
		}
	}
	access.Fail(w, http.StatusNotFound, "there is no such node")
	return nil, nil
}

// node is all that is known of one, and whether who asks may see its output.
func (s *Server) node(w http.ResponseWriter, r *http.Request) {
	_, n := s.named(w, r.FormValue("name"))
	if n == nil {
		return
	}
	s.feed.mu.Lock()
	h := s.feed.history.node(n.Name)
	s.feed.mu.Unlock()
	answer(w, map[string]any{"node": n, "history": h, "output": s.deps.Guard.Known(access.From(r.Context())) == nil})
}

// outputEnd is how much of a node's output is given.
const outputEnd = 64 << 10

// output is the end of what a node has printed. Others on this machine cannot
// read the spool, so it is for those who gave a token.
func (s *Server) output(w http.ResponseWriter, r *http.Request) {
	var d *access.Denied
	if err := s.deps.Guard.Known(access.From(r.Context())); errors.As(err, &d) {
		access.Fail(w, d.Status, "what a node prints is shown to those who give a token; on the machine, picket logs "+access.Clip(r.FormValue("node"), 100)+" shows it")
		return
	}
	st, n := s.named(w, r.FormValue("node"))
	if n == nil {
		return
	}
	life := ""
	if r.FormValue("life") == "before" {
		life = ".1"
	}
	type end struct {
		Name    string    `json:"name"`
		Text    string    `json:"text"`
		Size    int64     `json:"size"` // of the file; the text is its end
		Changed time.Time `json:"changed"`
	}
	out := []end{}
	for _, name := range []string{"stderr.log", "stdout.log"} {
		e := end{Name: name}
		f, err := os.Open(filepath.Join(st.Spool, n.Name, name+life))
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				e.Text = err.Error()
			}
			out = append(out, e)
			continue
		}
		if info, err := f.Stat(); err == nil {
			e.Size, e.Changed = info.Size(), info.ModTime()
		}
		text := make([]byte, min(e.Size, outputEnd))
		k, err := f.ReadAt(text, e.Size-int64(len(text)))
		if err != nil && !errors.Is(err, io.EOF) {
			e.Text = err.Error()
		} else {
			e.Text = strings.ToValidUTF8(string(text[:k]), "\uFFFD")
		}
		_ = f.Close() // only read
		out = append(out, e)
	}
	answer(w, map[string]any{"node": n.Name, "files": out})
}

// restartIn is how long the supervisor may take to say yes or no.
const restartIn = 5 * time.Second

// restart asks for the restart of one node. It answers when the supervisor has
// taken note; the feed shows the rest.
func (s *Server) restart(w http.ResponseWriter, r *http.Request) {
	if kind := r.Header.Get("Content-Type"); kind != "application/json" {
		access.Fail(w, http.StatusUnsupportedMediaType, "want application/json")
		return
	}
	var q struct {
		Node string `json:"node"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		access.Fail(w, http.StatusBadRequest, "want {\"node\": NAME}")
		return
	}
	_, n := s.named(w, q.Node)
	if n == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), restartIn)
	defer cancel()
	id := access.From(r.Context())
	if err := s.deps.Restart(ctx, id, n.Name); err != nil {
		code := http.StatusBadGateway
		var d *access.Denied
		if errors.As(err, &d) {
			code = d.Status
		}
		access.Fail(w, code, err.Error())
		return
	}
	answer(w, map[string]string{"node": n.Name, "by": id.Name})
}
