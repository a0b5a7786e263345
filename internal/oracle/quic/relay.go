// Package quic compares Picket's QUIC analyzer with what QUIC peers say of
// themselves: quic-go, and ngtcp2 where it is installed. The peers talk over a
// relay that keeps their datagrams.
package quic

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// Datagram is one that passed the relay.
type Datagram struct {
	Client bool // sent by the client
	Data   []byte
}

// Flow is what passed between one address of a client and the server.
type Flow struct {
	Client, Server netip.AddrPort // the relay's place counts as the server's
	Datagrams      []Datagram
}

// Relay passes datagrams on between clients and a server.
type Relay struct {
	in     *net.UDPConn
	server *net.UDPAddr
	wg     sync.WaitGroup

	mu    sync.Mutex
	flows map[netip.AddrPort]*upstream
	order []*Flow
}

type upstream struct {
	flow *Flow
	out  *net.UDPConn
}

// NewRelay listens on a port of its own in front of server.
func NewRelay(server *net.UDPAddr) (*Relay, error) {
	in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	r := &Relay{in: in, server: server, flows: map[netip.AddrPort]*upstream{}}
	r.wg.Add(1)
	go r.run()
	return r, nil
}

// Addr is where clients connect to.
func (r *Relay) Addr() *net.UDPAddr { return r.in.LocalAddr().(*net.UDPAddr) }

func (r *Relay) run() {
	defer r.wg.Done()
	buf := make([]byte, 1<<16)
	for {
		n, from, err := r.in.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		u, err := r.upstream(from)
		if err != nil {
			return
		}
		r.note(u.flow, true, buf[:n])
		u.out.Write(buf[:n])
	}
}

func (r *Relay) note(f *Flow, client bool, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.Datagrams = append(f.Datagrams, Datagram{client, bytes.Clone(data)})
}

func (r *Relay) upstream(from netip.AddrPort) (*upstream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.flows[from]; u != nil {
		return u, nil
	}
	out, err := net.DialUDP("udp4", nil, r.server)
	if err != nil {
		return nil, err
	}
	u := &upstream{&Flow{Client: from, Server: r.Addr().AddrPort()}, out}
	r.flows[from] = u
	r.order = append(r.order, u.flow)
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		buf := make([]byte, 1<<16)
		for {
			n, err := out.Read(buf)
			if errors.Is(err, syscall.ECONNREFUSED) {
				continue
			}
			if err != nil {
				return
			}
			r.note(u.flow, false, buf[:n])
			r.in.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	return u, nil
}

// Close ends the relay and returns what passed, in the order of the clients.
func (r *Relay) Close() []*Flow {
	r.in.Close()
	r.mu.Lock()
	for _, u := range r.flows {
		u.out.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
	return r.order
}
