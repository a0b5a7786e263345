package node_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/node"
)

// Files of a capture are hashed and written to disk.
func TestContent(t *testing.T) {
	trace := testenv.Shared(t, "traces", "http", "get.pcap")
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "files")
	_, err := node.Read(context.Background(), node.ReadConfig{
		Capture: node.Capture{Files: []string{trace}, NoChecksums: true, Content: node.Content{
			Hash: []string{"md5", "sha1", "sha256"}, Extract: []string{"text/plain"}, Dir: out,
		}},
		Workers: 2, Dir: dir, Format: "tsv",
	}, deps())
	if err != nil {
		t.Fatal(err)
	}
	row := strings.Split(rows(t, dir)["files"][0], "\t")
	n := len(row)
	if got := row[n-6] + " " + row[n-5]; got != "397168fd09991a0e712254df7bc639ac 1dd7ac0398df6cbc0696445a91ec681facf4dc47" {
		t.Errorf("hashes %s", got)
	}
	if len(row[n-4]) != 64 || row[n-2] != "F" || !strings.HasPrefix(row[n-3], "extract-") {
		t.Errorf("row %q", row)
	}
	data, err := os.ReadFile(filepath.Join(out, row[n-3]))
	if err != nil || len(data) != 4705 {
		t.Errorf("%d bytes were written, %v", len(data), err)
	}
}

func TestContentErrors(t *testing.T) {
	_, err := node.Read(context.Background(), node.ReadConfig{
		Capture: node.Capture{Files: []string{demo(t)}, Content: node.Content{Hash: []string{"md4"}}},
		Workers: 1, Dir: t.TempDir(), Format: "tsv",
	}, deps())
	if err == nil || !strings.Contains(err.Error(), `"md4"`) {
		t.Errorf("error %v", err)
	}
}

// Files that cannot be written are told of, and nothing else suffers.
func TestContentNoFolder(t *testing.T) {
	trace := testenv.Shared(t, "traces", "http", "get.pcap")
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := node.Read(context.Background(), node.ReadConfig{
		Capture: node.Capture{Files: []string{trace}, NoChecksums: true, Content: node.Content{Extract: []string{"*"}, Dir: filepath.Join(file, "x")}},
		Workers: 1, Dir: dir, Format: "tsv",
	}, deps())
	if err != nil {
		t.Fatal(err)
	}
	logs := rows(t, dir)
	if len(logs["http"]) != 1 || len(logs["files"]) != 1 || len(logs["reporter"]) != 1 || !strings.Contains(logs["reporter"][0], "extract file") {
		t.Errorf("%q", logs)
	}
}
