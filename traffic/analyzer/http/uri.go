package http

import "github.com/picket-nsm/picket/traffic/format/uri"

// unescape appends a URI with its escapes resolved, and reports those that are
// wrong.
func (h *http) unescape(dst, text []byte) []byte {
	dst, problems := uri.Unescape(dst, text)
	for i, name := range uri.Weirds() {
		for range min(problems[i], maxProblems) {
			h.weird(name, "")
		}
	}
	return dst
}

// maxProblems is how often one URI may say the same.
const maxProblems = 100
