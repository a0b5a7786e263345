package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/picket-nsm/picket/api/access"
)

// policy is what the page may do in a browser: load from here and nowhere else,
// and insert no text as markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// front is before all paths: what the page may do, how long an answer may take,
// and that no page of another site asks, which may do so without an Origin.
func front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(takeTimeout))
		switch r.Header.Get("Sec-Fetch-Site") {
		case "", "same-origin", "none":
		default:
			// Following a link shows the page to nobody but its user.
			if r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Method != http.MethodGet || r.URL.Path != "/" {
				access.Fail(w, http.StatusForbidden, "a page of another site asks")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// limit lets only so many work at a time.
func (s *Server) limit(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.work <- struct{}{}:
			defer func() { <-s.work }()
			next(w, r)
		default:
			s.busy.Add(1)
			w.Header().Set("Retry-After", "1")
			access.Fail(w, http.StatusServiceUnavailable, "busy with others; try again")
		}
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // The client has gone; nobody is left to tell.
}
