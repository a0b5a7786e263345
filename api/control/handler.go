package control

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strconv"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
)

// The paths. docs/formats/control.md
const (
	PathWho     = "/v1/who"
	PathStatus  = "/v1/status"
	PathState   = "/v1/state"
	PathOutput  = "/v1/nodes/{node}/output"
	PathRestart = "/v1/nodes/{node}/restart"
	PathStop    = "/v1/stop"
	PathKill    = "/v1/kill"
)

// Who is the answer of PathWho.
type Who struct {
	Who  string `json:"who"`
	Role string `json:"role"`
}

// Handle adds the paths to a mux.
func (o *Operations) Handle(mux *http.ServeMux) {
	read := func(path string, h http.HandlerFunc) { mux.Handle("GET "+path, o.guard.Require(access.Read, h)) }
	operate := func(path string, f func(r *http.Request, id access.Identity) error) {
		mux.Handle("POST "+path, o.guard.Require(access.Read, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := f(r, access.From(r.Context())); err != nil { // Do refuses and records
				fail(w, err)
				return
			}
			answer(w, struct{}{})
		})))
	}
	read(PathWho, func(w http.ResponseWriter, r *http.Request) {
		id := access.From(r.Context())
		answer(w, Who{id.Name, id.Role.String()})
	})
	read(PathStatus, func(w http.ResponseWriter, _ *http.Request) {
		s, err := o.Status()
		if err != nil {
			fail(w, err)
			return
		}
		answer(w, s)
	})
	read(PathState, func(w http.ResponseWriter, r *http.Request) {
		s, err := o.State(r.Context())
		if err != nil {
			fail(w, err)
			return
		}
		answer(w, s)
	})
	read(PathOutput, o.output)
	operate(PathRestart, func(r *http.Request, id access.Identity) error {
		return o.Restart(r.Context(), id, r.PathValue("node"))
	})
	operate(PathStop, func(r *http.Request, id access.Identity) error { return o.Stop(r.Context(), id, false) })
	operate(PathKill, func(r *http.Request, id access.Identity) error { return o.Stop(r.Context(), id, true) })
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		access.Fail(w, http.StatusNotFound, "no such path, or not by "+access.Clip(r.Method, 20)+": "+access.Clip(r.URL.Path, 100))
	})
}

func (o *Operations) output(w http.ResponseWriter, r *http.Request) {
	if err := o.guard.Known(access.From(r.Context())); err != nil {
		fail(w, err)
		return
	}
	q := r.URL.Query()
	n, err := strconv.Atoi(q.Get("lines"))
	if err != nil || n < 1 || n > MaxLines {
		n = 10
	}
	stream := q.Get("stream")
	if stream == "" {
		stream = Stderr
	}
	lines, err := o.Output(r.PathValue("node"), stream, n)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, map[string][]string{"lines": lines})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // The client has gone; nobody is left to tell.
}

// fail tells of an error with the status that fits.
func fail(w http.ResponseWriter, err error) {
	var denied *access.Denied
	code := http.StatusInternalServerError
	switch {
	case errors.As(err, &denied):
		code = denied.Status
		if code == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
	case errors.Is(err, supervisor.ErrNotRunning):
		code = http.StatusServiceUnavailable
	case errors.Is(err, supervisor.ErrNoNode), errors.Is(err, status.ErrNothing), errors.Is(err, os.ErrNotExist):
		code = http.StatusNotFound
	}
	access.Fail(w, code, err.Error())
}

// knows says whether there is a node of that name, so that no path is made of
// something else.
func (o *Operations) knows(node string) bool {
	st, err := supervisor.LoadState(o.spool)
	return err == nil && slices.ContainsFunc(st.Nodes, func(n supervisor.NodeState) bool { return n.Name == node })
}
