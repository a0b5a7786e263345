package files

import "testing"

// The handles are what Zeek's scripts would build; the ids are what it logs.
func TestID(t *testing.T) {
	for _, c := range []struct{ handle, id string }{
		{"Analyzer::ANALYZER_HTTP1470574779.148133F1110.0.2.15:49762 > 93.184.216.34:80", "FKi7Pk47Xmw8dswjRh"},
		{"Analyzer::ANALYZER_FTP_DATA1429466342.200025[orig_h=192.168.1.31, orig_p=63420/tcp, resp_h=192.168.1.32, resp_p=18605/tcp, proto=6, ctx=[]]F", "FZzo3s330WAJYugGR2"},
	} {
		if got := New(Default(), nil).id([]byte(c.handle)).String(); got != c.id {
			t.Errorf("%s: id %s, want %s", c.handle, got, c.id)
		}
	}
}

func TestIDBytes(t *testing.T) {
	id := ID{0x01020304, 0xff00000000000005}
	if b := id.AppendBytes(nil); len(b) != IDSize || IDFromBytes(b) != id {
		t.Errorf("%v became %v", id, IDFromBytes(b))
	}
}
