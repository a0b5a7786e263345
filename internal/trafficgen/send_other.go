//go:build !linux

package trafficgen

import (
	"context"
	"errors"
)

// Sender needs Linux.
type Sender struct{}

// NewSender fails: there is no AF_PACKET here.
func NewSender(iface string) (*Sender, error) {
	return nil, errors.New("send on " + iface + ": needs Linux")
}

// Write fails.
func (s *Sender) Write(frame []byte) error { return errors.New("send: needs Linux") }

// Flush fails.
func (s *Sender) Flush() error { return errors.New("send: needs Linux") }

// Sent returns nothing.
func (s *Sender) Sent() (packets, bytes uint64) { return 0, 0 }

// Close does nothing.
func (s *Sender) Close() error { return nil }

// Send fails.
func (s *Sender) Send(ctx context.Context, next func() []byte, rate int) error {
	return errors.New("send: needs Linux")
}
