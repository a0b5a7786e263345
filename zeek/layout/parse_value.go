package layout

import (
	"net/netip"
	"strconv"
	"strings"
)

// addr reads an address, hosts["name"]$ip, or a look-up by name.
func (p *parser) addr(n *Node) (err error) {
	switch {
	case p.skip("Cluster::hosts["), p.skip("hosts["):
		if n.Host, err = p.str(); err != nil {
			return err
		}
		if err := p.expect("]"); err != nil {
			return err
		}
		return p.expect("$ip")
	case p.skip("("):
		if err := p.expect("blocking_lookup_hostname("); err != nil {
			return err
		}
		if n.Host, err = p.str(); err != nil {
			return err
		}
		for _, s := range []string{")", "as", "vector", "of", "addr", ")", "[", "0", "]"} {
			if err := p.expect(s); err != nil {
				return err
			}
		}
		p.hosts[n.Host] = Node{Host: n.Host}
		return nil
	}
	p.blanks()
	start := p.at
	if p.skip("[") {
		i := strings.IndexByte(p.text[p.at:], ']')
		if i < 0 {
			return p.errorAt(start, "address without an end")
		}
		p.at += i + 1
	} else {
		for p.at < len(p.text) && strings.IndexByte(" \t\r\n,])", p.text[p.at]) < 0 {
			p.at++
		}
	}
	n.Addr = p.text[start:p.at]
	a, perr := netip.ParseAddr(strings.Trim(n.Addr, "[]"))
	if perr != nil || a.Zone() != "" {
		return p.errorAt(start, "%s is not an address", strconv.QuoteToASCII(n.Addr))
	}
	if a.Is6() != (n.Addr[0] == '[') {
		return p.errorAt(start, "%s: IPv6 addresses, and only those, stand in brackets: [::1]", n.Addr)
	}
	return nil
}

// port reads 27760/tcp.
func (p *parser) port() (int, error) {
	p.blanks()
	at := p.at
	w := p.word()
	n, err := strconv.ParseUint(w, 10, 16)
	if err != nil {
		return 0, p.errorAt(at, "%s is not a port", strconv.QuoteToASCII(w))
	}
	if err := p.expect("/"); err != nil {
		return 0, err
	}
	if t := p.word(); t != "tcp" && (t != "unknown" || n != 0) {
		return 0, p.errorAt(at, "port %d/%s: nodes use tcp", n, t)
	}
	return int(n), nil
}
