package pcapfile

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
)

// ours are the weirds that decoding finds, and flow does not.
var ours = map[string]bool{
	"truncated_ethernet_frame": true, "truncated_link_header_cfp": true, "undefined_ether_type": true,
	"truncated_VLAN_header": true, "triple_tagged_vlan_unsupported": true, "undefined_vlan_protocol": true,
	"truncated_link_header": true, "pppoe_extra_data_after_payload": true, "pppoe_truncated_payload": true,
	"nflog_bad_tlv_len": true, "nflog_no_pcap_payload": true, "truncated_IP": true, "unknown_ip_version": true,
	"ip_hdr_len_zero": true, "truncated_IP_len": true, "routing0_hdr": true, "odd_routing0_len": true,
	"bad_routing2_len": true, "unknown_routing_type": true, "multiple_routing_headers": true,
	"bad_ipv6_dest_opt_len": true, "bad_home_addr_len": true, "multiple_home_addr_opts": true,
	"max_packet_analyzer_depth_exceeded": true, "IPv4_min_header_size": true, "truncated_ARP": true,
	"truncated_802_11_header": true, "invalid_802_11_amsdu_inner_packet": true,
}

// TestWeirdsAsZeek compares what decoding finds wrong with what real Zeek
// logged, by name, additional text, source and scope.
func TestWeirdsAsZeek(t *testing.T) {
	root := testenv.Shared(t, "traces")
	golden := testenv.Shared(t, "golden", "zeek-logs")
	compared := 0
	for _, path := range traces(t) {
		rel, _ := filepath.Rel(root, path)
		if _, err := os.Stat(filepath.Join(golden, rel)); err != nil {
			continue
		}
		want := zeekWeirds(t, filepath.Join(golden, rel, "weird.log"))
		got := map[string]bool{}
		s, err := Open(path, Options{})
		if err != nil {
			continue
		}
		if _, err := drain(t, s, func(p *packet.Packet, f *capture.Frame) {
			for i := range p.Weirds[:p.NWeirds] {
				w := &p.Weirds[i]
				if ours[w.Name] {
					got[weirdLine(w.Name, w.Addl(), w.Source, w.Flow)] = true
				}
			}
		}); err != nil {
			continue
		}
		s.Close()
		compared++
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, Zeek %v", rel, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
	t.Logf("%d captures compared", compared)
}

func weirdLine(name, addl, source string, flow bool) string {
	for _, s := range []*string{&addl, &source} {
		if *s == "" {
			*s = "-"
		}
	}
	scope := "net"
	if flow {
		scope = "flow"
	}
	return strings.Join([]string{name, addl, source, scope}, " ")
}

// zeekWeirds reads the rows of a weird.log without a connection.
func zeekWeirds(t *testing.T, path string) map[string]bool {
	out := map[string]bool{}
	f, err := os.Open(path)
	if err != nil {
		return out
	}
	defer f.Close()
	var col map[string]int
	for sc := bufio.NewScanner(f); sc.Scan(); {
		v := strings.Split(sc.Text(), "\t")
		if v[0] == "#fields" {
			col = map[string]int{}
			for i, n := range v[1:] {
				col[n] = i
			}
		}
		if strings.HasPrefix(v[0], "#") || v[col["uid"]] != "-" {
			continue
		}
		if name := v[col["name"]]; ours[name] {
			out[weirdLine(name, v[col["addl"]], v[col["source"]], v[col["id.orig_h"]] != "-")] = true
		}
	}
	return out
}
