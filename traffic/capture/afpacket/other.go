//go:build !linux

package afpacket

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/picket-nsm/picket/traffic/capture"
)

// Group is the set of capture sockets of one interface; see the Linux version.
type Group struct{}

// Source is a capture.Source over a ring; see the Linux version.
type Source struct{}

func unsupported(iface string) error {
	return fmt.Errorf("capture %s: live capture needs Linux (AF_PACKET), this is %s; read a capture file instead", iface, runtime.GOOS)
}

// OpenGroup fails: there is no AF_PACKET here.
func OpenGroup(iface string, n int, o Options) (*Group, error) { return nil, unsupported(iface) }

// Adopt fails: there is no AF_PACKET here.
func Adopt(r Ring, holders []Holder) (*Group, error) { return nil, unsupported(r.Interface) }

// Open fails: there is no AF_PACKET here.
func Open(iface string, o Options) (*Source, error) { return nil, unsupported(iface) }

// FromFD fails: there is no AF_PACKET here.
func FromFD(fd uintptr, r Ring, from Resume) (*Source, error) { return nil, unsupported(r.Interface) }

// Link fails: there is no AF_PACKET here.
func Link(iface string) (capture.LinkType, error) { return 0, unsupported(iface) }

// Check reports that live capture needs Linux.
func Check(iface string) []Finding { return []Finding{{Fail, unsupported(iface).Error()}} }

// Files returns nothing.
func (g *Group) Files() []*os.File { return nil }

// Ring returns nothing.
func (g *Group) Ring() Ring { return Ring{} }

// Totals fails.
func (g *Group) Totals(i int) (Totals, error) { return Totals{}, unsupported("") }

// Stop fails.
func (g *Group) Stop() error { return unsupported("") }

// Close does nothing.
func (g *Group) Close() error { return nil }

// Next fails.
func (s *Source) Next(ctx context.Context) ([]capture.Frame, error) { return nil, unsupported("") }

// Stats returns nothing.
func (s *Source) Stats() capture.Stats { return capture.Stats{} }

// Totals fails.
func (s *Source) Totals() (Totals, error) { return Totals{}, unsupported("") }

// Drain does nothing.
func (s *Source) Drain() {}

// Close does nothing.
func (s *Source) Close() error { return nil }
