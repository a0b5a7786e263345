package zmtp

import (
	"encoding/binary"
	"fmt"
)

// parseCommand cuts a command's body into name and data.
func parseCommand(body []byte) (name string, data []byte, err error) {
	if len(body) == 0 || int(body[0]) > len(body)-1 || body[0] == 0 {
		return "", nil, fmt.Errorf("%w: command without a name", ErrProtocol)
	}
	n := int(body[0])
	return string(body[1 : 1+n]), body[1+n:], nil
}

// appendCommand appends a command as a whole frame.
func appendCommand(b []byte, name string, data []byte) []byte {
	b = appendHeader(b, flagCommand, 1+len(name)+len(data))
	return append(appendName(b, name), data...)
}

// appendName appends a command's name with its length.
func appendName(b []byte, name string) []byte {
	return append(append(b, byte(len(name))), name...)
}

// appendError appends the command that tells a peer why it is refused.
func appendError(b []byte, reason string) []byte {
	return appendCommand(b, "ERROR", append([]byte{byte(len(reason))}, reason...))
}

// errorReason reads the data of an ERROR command.
func errorReason(data []byte) string {
	if len(data) == 0 || int(data[0]) > len(data)-1 {
		return "no reason given"
	}
	return fmt.Sprintf("%q", data[1:1+int(data[0])])
}

// appendMetadata appends the properties that we tell: the socket's type first.
func appendMetadata(b []byte, cfg *Config) []byte {
	b = appendProperty(b, "Socket-Type", cfg.Type.String())
	for _, p := range cfg.Properties {
		b = appendProperty(b, p.Name, p.Value)
	}
	return b
}

func appendProperty(b []byte, name, value string) []byte {
	b = appendName(b, name)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// parseMetadata returns the peer's type of socket, and the properties of its
// application.
func parseMetadata(b []byte) (t string, own []Property, err error) {
	found := false
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < 1+n+4 {
			return "", nil, fmt.Errorf("%w: cut metadata", ErrProtocol)
		}
		name, rest := b[1:1+n], b[1+n:]
		size := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if uint64(size) > uint64(len(rest)) {
			return "", nil, fmt.Errorf("%w: cut metadata", ErrProtocol)
		}
		switch {
		case equalFold(name, "Socket-Type"):
			t, found = string(rest[:size]), true
		case n > 2 && equalFold(name[:2], "X-") && size <= maxProperty && len(own) < maxProperties:
			own = append(own, Property{string(name), string(rest[:size])})
		}
		b = rest[size:]
	}
	if !found {
		return "", nil, fmt.Errorf("%w: no Socket-Type in the metadata", ErrProtocol)
	}
	return t, own, nil
}

// equalFold compares property names, which ignore the case of ASCII letters.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	lower := func(c byte) byte {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

// appendPing appends a PING with a time to live in tenths of a second.
func appendPing(b []byte, ttl uint16) []byte {
	return appendCommand(b, "PING", binary.BigEndian.AppendUint16(nil, ttl))
}

// pingContext returns what the PONG to a PING must echo: at most 16 bytes.
func pingContext(data []byte) ([]byte, error) {
	if len(data) < 2 || len(data) > 2+16 {
		return nil, fmt.Errorf("%w: ping of %d bytes", ErrProtocol, len(data))
	}
	return data[2:], nil
}

// appendSubscription appends a subscription or its removal, as the command of
// ZMTP 3.1 or as the message of 3.0.
func appendSubscription(b []byte, subscribe, command bool, topic string) []byte {
	if command {
		name := "CANCEL"
		if subscribe {
			name = "SUBSCRIBE"
		}
		b = appendHeader(b, flagCommand, 1+len(name)+len(topic))
		return append(appendName(b, name), topic...)
	}
	b = appendHeader(b, 0, 1+len(topic))
	if subscribe {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return append(b, topic...)
}
