package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/testenv"
)

// ftpServer is a server of FTP in Python.
const ftpServer = `
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
users = DummyAuthorizer()
users.add_anonymous(sys.argv[1], perm="elrw")
FTPHandler.authorizer = users
FTPServer((sys.argv[2], 21), FTPHandler).serve_forever()
`

// Real programs over a cable: curl fetches files from pyftpdlib and stores some,
// passive and active. The kernel spreads flows over four workers by their ports, so
// that most data connections are not their control connection's worker's; all are
// known, and so are their files.
func TestLiveFTP(t *testing.T) {
	testenv.NeedTool(t, "curl")
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import pyftpdlib").Run(); err != nil {
		t.Skip("needs pyftpdlib (python3-pyftpdlib)")
	}
	c := live(t, "-W", "4")
	near := c.near
	c.far.IP(t, "addr", "add", "10.77.0.1/24", "dev", "va")
	near.IP(t, "addr", "add", "10.77.0.2/24", "dev", "vb")
	for ns, dev := range map[interface {
		IP(testing.TB, ...string)
	}]string{c.far: "va", near: "vb"} {
		ns.IP(t, "link", "set", "dev", dev, "gso_max_segs", "1") // else the kernel hands over what it has not cut yet
	}
	dir := t.TempDir()
	const size = 3000
	if err := os.WriteFile(filepath.Join(dir, "file.txt"), []byte(strings.Repeat("a line of text\n", size/15)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	server := near.Command(python, "-W", "ignore", "-c", ftpServer, dir, "10.77.0.2")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	waitFor(t, func() bool {
		var err error
		_ = c.far.Do(func() error {
			var k net.Conn
			if k, err = net.DialTimeout("tcp", "10.77.0.2:21", time.Second); err == nil {
				k.Close()
			}
			return nil
		})
		return err == nil
	})
	const rounds = 8
	for i := range rounds {
		for _, args := range [][]string{
			{"ftp://10.77.0.2/file.txt"},
			{"-P", "-", "ftp://10.77.0.2/file.txt"},
			{"-T", filepath.Join(dir, "file.txt"), fmt.Sprintf("ftp://10.77.0.2/up-%d.txt", i)},
		} {
			cmd := c.far.Command("curl", append([]string{"-s", "-S", "-m", "20", "-o", os.DevNull}, args...)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("curl %v: %v: %s", args, err, out)
			}
		}
	}
	time.Sleep(2 * time.Second) // what is on its way arrives
	if out, code := c.Picket("stop"); code != 0 {
		t.Errorf("picket stop: exit code %d: %s", code, out)
	}
	c.Wait()

	column := func(r *Rows, line, name string) string {
		return strings.Split(line, "\t")[slices.Index(r.Fields, name)]
	}
	conns, files, rows := c.rows("conn"), c.rows("files"), c.rows("ftp")
	data, known, whole, named := 0, 0, 0, 0
	for _, l := range conns.Lines {
		if column(conns, l, "id.resp_p") == "21" || column(conns, l, "proto") != "tcp" {
			continue
		}
		if data++; column(conns, l, "service") == "ftp-data" {
			known++
		}
	}
	for _, l := range files.Lines {
		if column(files, l, "source") == "FTP_DATA" && column(files, l, "seen_bytes") == fmt.Sprint(size) {
			whole++
		}
	}
	for _, l := range rows.Lines {
		if column(rows, l, "fuid") != "-" {
			named++
		}
	}
	t.Logf("%d data connections, %d known, %d files whole, %d named in ftp.log", data, known, whole, named)
	if data != 3*rounds || known != data {
		t.Errorf("%d data connections, want %d; %d known", data, 3*rounds, known)
	}
	if named < data/2 { // all, but for news that take more than a second
		t.Errorf("%d of %d files are named in ftp.log", named, data)
	}
	if len(files.Lines) != data {
		t.Errorf("%d files, want %d", len(files.Lines), data)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come")
		}
	}
}
