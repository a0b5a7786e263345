package zmtp

import "fmt"

const (
	greetingSize    = 64
	greetingVersion = 12 // up to and with the version
)

// mechanism names, as in the greeting.
const (
	mechNull  = "NULL"
	mechCurve = "CURVE"
)

// appendGreeting appends what each side sends first: signature, version 3.1,
// mechanism, as-server.
func appendGreeting(b []byte, mechanism string, asServer bool) []byte {
	var g [greetingSize]byte
	// The eight bytes of the signature are a length in ZMTP 1; libzmq fills in 1.
	g[0], g[8], g[9] = 0xff, 1, 0x7f
	g[10], g[11] = 3, 1
	copy(g[12:32], mechanism)
	if asServer {
		g[32] = 1
	}
	return append(b, g[:]...)
}

// greeting is what a peer said first.
type greeting struct {
	minor     byte // of version 3
	mechanism string
}

// parseGreeting reads a peer's 64 bytes. The as-server byte is not looked at:
// libzmq leaves it zero on servers too.
func parseGreeting(b []byte) (g greeting, err error) {
	if err := checkSignature(b); err != nil {
		return g, err
	}
	if len(b) < greetingSize {
		return g, fmt.Errorf("%w: greeting of %d bytes", ErrProtocol, len(b))
	}
	g.minor = b[11]
	name := b[12:32]
	n := 0
	for n < len(name) && name[n] != 0 {
		if name[n] < ' ' || name[n] > '~' {
			return g, fmt.Errorf("%w: mechanism name %q", ErrProtocol, name)
		}
		n++
	}
	for _, c := range name[n:] {
		if c != 0 {
			return g, fmt.Errorf("%w: mechanism name %q", ErrProtocol, name)
		}
	}
	g.mechanism = string(name[:n])
	return g, nil
}

// checkSignature judges the start of a greeting as far as it is there, so that
// a peer that is no ZeroMQ is told at once and not by the handshake's time limit.
func checkSignature(b []byte) error {
	switch {
	case len(b) > 0 && b[0] != 0xff:
		return fmt.Errorf("%w: first byte %#02x; the peer does not speak ZeroMQ, or version 1 of it", ErrProtocol, b[0])
	case len(b) > 9 && b[9] != 0x7f:
		return fmt.Errorf("%w: tenth byte %#02x", ErrProtocol, b[9])
	case len(b) > 10 && b[10] < 3:
		return fmt.Errorf("%w: peer speaks ZMTP %d, need 3.0 (libzmq 4) or newer", ErrProtocol, b[10])
	}
	return nil
}
