package plan

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
)

// ZeekFiles is what the real Zeek processes of a cluster load, by file name: the
// layout, and a script with what differs from Zeek's defaults. None if the
// configuration names no such process. Keys are not in it: they are in Zeek's
// environment.
func ZeekFiles(in Input) (map[string][]byte, error) {
	c := in.Config
	if len(c.Zeek) == 0 {
		return nil, nil
	}
	l, err := clusterLayout(c, Workers(in))
	if err != nil {
		return nil, fmt.Errorf("plan cluster %s: %w", c.Cluster.Name, err)
	}
	z := c.Bus.ZeroMQ
	codec := map[string]string{"broker-bin-v1": "BIN", "broker-json-v1": "JSON"}[c.Bus.Codec]
	ipv6 := "F"
	for _, at := range []string{z.XPUB, z.XSUB, z.Address} {
		at = strings.TrimPrefix(at, "tcp://")
		if a, err := netip.ParseAddrPort(at); err == nil && a.Addr().Is6() {
			ipv6 = "T"
		} else if a, err := netip.ParseAddr(at); err == nil && a.Is6() {
			ipv6 = "T"
		}
	}
	// Who listens at all addresses is reached at the machine's own.
	reach := func(at string) string {
		if a, err := netip.ParseAddrPort(strings.TrimPrefix(at, "tcp://")); err == nil && a.Addr().IsUnspecified() {
			if own, err := netip.ParseAddr(z.Address); err == nil {
				return "tcp://" + netip.AddrPortFrom(own, a.Port()).String()
			}
		}
		return at
	}
	script := fmt.Sprintf(`# What a real Zeek process needs to take part in the cluster %s. picket up makes
# this file anew. Beside it is cluster-layout.zeek. To start the node %s:
#
#   CLUSTER_NODE=%s ZEEKPATH=%s:$(zeek-config --zeekpath) zeek -i eth0 %s local
#
# picket's docs/howto/real-zeek.md has the rest.
@load frameworks/cluster/backend/zeromq

redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = "%s";
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = "%s";
redef Cluster::Backend::ZeroMQ::ipv6 = %s;
redef Cluster::event_serializer = Cluster::EVENT_SERIALIZER_BROKER_%s_V1;
`, c.Cluster.Name, c.Zeek[0].Name, c.Zeek[0].Name, ZeekDir(c.Cluster.Spool), strings.TrimSuffix(zeekScript, ".zeek"), reach(z.XPUB), reach(z.XSUB), ipv6, codec)
	return map[string][]byte{"cluster-layout.zeek": l.Zeek(), zeekScript: []byte(script)}, nil
}

const zeekScript = "picket-cluster.zeek"

// ZeekDir is the folder of these files.
func ZeekDir(spool string) string { return filepath.Join(spool, "zeek") }
