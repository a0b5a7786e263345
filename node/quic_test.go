package node_test

import (
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
)

// TestQUIC reads real QUIC traffic with one and with four workers. What should
// be seen was told by real Zeek 9.0.
func TestQUIC(t *testing.T) {
	for _, c := range []struct {
		trace   string
		version string // of quic.log
		name    string // server_name
		history string
		ssl     string // version, cipher, curve and server_name, if all of it is seen
	}{
		{"chromium-115.0.5790.110-api-cirrus-com.pcap", "1", "api.cirrus-ci.com", "ISishoHOOooOoO", "TLSv13 TLS_AES_128_GCM_SHA256 x25519 api.cirrus-ci.com"},
		{"curl-8.1.2-dev-http3-www-google-de.pcap", "1", "www.google.de", "ISXishIHXhHhhoHOOOoooOoO", "TLSv13 TLS_AES_128_GCM_SHA256 x25519 www.google.de"},
		{"interop/quic-go_quic-go/handshake.pcap", "1", "server4:443", "ISishhoIHOOo", "TLSv13 TLS_AES_128_GCM_SHA256 x25519 server4:443"},
		{"merlinc2_Zeek_example.pcapng", "1", "-", "ISishhooIHOOOoOooOOo", "TLSv13 TLS_AES_128_GCM_SHA256 x25519 -"},
		{"quic-39264-rand.pcap", "1", "tr6.snapchat.com", "IXIXISZXiiiiishooIHOOoO", "TLSv13 TLS_AES_128_GCM_SHA256 x25519 tr6.snapchat.com"},
		{"quic-decrypt-fail-google-de-51833.pcap", "1", "www.google.de", "ZZZIiIIIISiIIIiiiiiishoooIIOHHOoO", "TLSv13 TLS_AES_128_GCM_SHA256 X25519MLKEM768 www.google.de"},
		{"quic-multiple-initial-fragmented-crypto.pcap", "1", "googleads.g.doubleclick.net", "IIISZZZiIiIIIIIIZ", "- - - googleads.g.doubleclick.net"},
		{"quicdoq.pcap", "1", "-", "ISishhoHOoOo", "TLSv13 TLS_AES_128_GCM_SHA256 secp256r1 -"},
		{"quicv2-echo-443.pcap", "quicv2", "localhost", "ISIIishoIHOHOoO", "TLSv13 TLS_AES_128_GCM_SHA256 x25519 localhost"},
		{"quicv2-echo-dpd-custom-port-4433.pcap", "quicv2", "localhost", "ISIIishoIHOHOoO", "TLSv13 TLS_AES_128_GCM_SHA256 x25519 localhost"},
	} {
		t.Run(strings.ReplaceAll(c.trace, "/", "_"), func(t *testing.T) {
			file := testenv.Shared(t, "traces", "quic", c.trace)
			one, _ := read(t, 1, "tsv", file)
			four, _ := read(t, 4, "tsv", file)
			for _, log := range []string{"conn", "quic", "ssl"} {
				if err := same(one[log], four[log]); err != nil {
					t.Errorf("%s.log: %v", log, err)
				}
			}
			if len(one["quic"]) != 1 || len(one["ssl"]) != 1 {
				t.Fatalf("quic.log %q, ssl.log %q", one["quic"], one["ssl"])
			}
			f := strings.Split(one["quic"][0], "\t")
			if got := []string{f[6], f[10], f[12]}; got[0] != c.version || got[1] != c.name || got[2] != c.history {
				t.Errorf("quic.log: %q", got)
			}
			f = strings.Split(one["ssl"][0], "\t")
			if got := strings.Join(f[6:10], " "); got != c.ssl {
				t.Errorf("ssl.log: %s, want %s", got, c.ssl)
			}
			if all := strings.Join(one["conn"], "\n"); !strings.Contains(all, "\tudp\tquic,ssl\t") {
				t.Errorf("conn.log:\n%s", all)
			}
		})
	}
}

// TestCutRow reads a certificate with more names than a log's column holds.
func TestCutRow(t *testing.T) {
	logs, _ := read(t, 1, "tsv", testenv.Shared(t, "traces", "tls", "tls-fragmented-handshake.pcap.gz"))
	if all := strings.Join(logs["weird"], "\n"); len(logs["weird"]) != 1 || !strings.Contains(all, "\tlog_container_field_truncated\tX509::LOG\t") {
		t.Errorf("weird.log: %s", all)
	}
}
