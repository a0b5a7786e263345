package main

import (
	"encoding/json"
	"io"
)

// writeJSON prints v for scripts, a document a call.
func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
