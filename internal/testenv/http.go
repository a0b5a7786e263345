package testenv

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Ask makes an HTTP request, with pairs of header names and values; Host is the one
// that the server is asked by. It returns the answer, whose body is at most 16 MiB.
func Ask(t testing.TB, method, url, body string, headers ...string) (status int, text string, header http.Header) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}
