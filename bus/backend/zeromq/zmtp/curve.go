package zmtp

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/crypto/nacl/box"
)

// Curve are the keys of a socket that speaks CURVE. In a cluster all servers
// share one pair and all clients another one.
type Curve struct {
	// Server says which role the socket has, whoever connects: the broker and a
	// logger's PULL are servers, all other sockets are clients.
	Server bool
	Secret Secret // our own; the public key follows from it
	// ServerKey is, for a client, the key that the server must prove to have.
	ServerKey Key
	// Clients are, for a server, the keys of the clients it lets in; any of them
	// with Anyone.
	Clients []Key
	Anyone  bool
}

func (c *Curve) knows(k Key) bool {
	if c.Anyone {
		return true
	}
	ok := 0
	for i := range c.Clients {
		ok |= subtle.ConstantTimeCompare(c.Clients[i][:], k[:])
	}
	return ok == 1
}

// Sizes of the handshake's commands, with their names (RFC 26).
const (
	helloSize       = 200
	welcomeSize     = 168
	initiateMinimum = 257 // and metadata
	readyMinimum    = 30  // and metadata
	cookieSize      = 96
	vouchSize       = 96
	boxOverhead     = box.Overhead
	messageOverhead = 8 + 8 + boxOverhead + 1 // name, nonce, tag, inner flags
)

// nonce builds a nonce of a 16 byte prefix and a counter.
func shortNonce(prefix string, n uint64) (out [24]byte) {
	copy(out[:16], prefix)
	binary.BigEndian.PutUint64(out[16:], n)
	return out
}

// longNonce builds a nonce of an 8 byte prefix and 16 bytes of chance.
func longNonce(prefix string, chance []byte) (out [24]byte) {
	copy(out[:8], prefix)
	copy(out[8:], chance)
	return out
}

func curveError(what string) error {
	return fmt.Errorf("%w: CURVE %s", ErrProtocol, what)
}

// commandData checks a handshake command's name and smallest size with the
// name, and returns the data. An ERROR in its place becomes ErrRefused.
func commandData(body []byte, want string, least, most int) ([]byte, error) {
	name, data, err := parseCommand(body)
	switch {
	case err != nil:
		return nil, err
	case name == "ERROR":
		return nil, fmt.Errorf("%w: reason %s", ErrRefused, errorReason(data))
	case name != want:
		return nil, curveError(fmt.Sprintf("command %q, want %s", name, want))
	case len(body) < least || len(body) > most:
		return nil, curveError(fmt.Sprintf("%s of %d bytes", want, len(body)))
	}
	return data, nil
}

// curveClient is the client's side of a handshake: hello, welcome, initiate, ready.
type curveClient struct {
	keys      *Curve
	chance    io.Reader
	public    Key // short-lived
	secret    Secret
	serverNow Key // the server's short-lived key
	cookie    [cookieSize]byte
	shared    [32]byte // of both short-lived pairs
}

func newCurveClient(keys *Curve, chance io.Reader) (*curveClient, error) {
	c := &curveClient{keys: keys, chance: chance}
	var err error
	c.public, c.secret, err = NewKey(chance)
	return c, err
}

func (c *curveClient) hello() []byte {
	b := appendName(make([]byte, 0, helloSize), "HELLO")
	b = append(b, 1, 0)
	b = append(b, make([]byte, 72)...)
	b = append(b, c.public[:]...)
	nonce := shortNonce("CurveZMQHELLO---", 1)
	b = append(b, nonce[16:]...)
	var zeros [64]byte
	return box.Seal(b, zeros[:], &nonce, (*[32]byte)(&c.keys.ServerKey), (*[32]byte)(&c.secret))
}

func (c *curveClient) welcome(body []byte) error {
	data, err := commandData(body, "WELCOME", welcomeSize, welcomeSize)
	if err != nil {
		return err
	}
	nonce := longNonce("WELCOME-", data[:16])
	plain, ok := box.Open(nil, data[16:], &nonce, (*[32]byte)(&c.keys.ServerKey), (*[32]byte)(&c.secret))
	if !ok {
		return fmt.Errorf("%w: WELCOME does not open; is the server's public key right?", ErrKey)
	}
	copy(c.serverNow[:], plain)
	copy(c.cookie[:], plain[32:])
	box.Precompute(&c.shared, (*[32]byte)(&c.serverNow), (*[32]byte)(&c.secret))
	return nil
}

func (c *curveClient) initiate(metadata []byte) ([]byte, error) {
	var fresh [16]byte
	if _, err := io.ReadFull(c.chance, fresh[:]); err != nil {
		return nil, fmt.Errorf("make nonce: %w", err)
	}
	own := c.keys.Secret.Public()
	plain := append(make([]byte, 0, 32+vouchSize+len(metadata)), own[:]...)
	plain = append(plain, fresh[:]...)
	vouch := append(append(make([]byte, 0, 64), c.public[:]...), c.keys.ServerKey[:]...)
	nonce := longNonce("VOUCH---", fresh[:])
	plain = box.Seal(plain, vouch, &nonce, (*[32]byte)(&c.serverNow), (*[32]byte)(&c.keys.Secret))
	plain = append(plain, metadata...)

	b := appendName(make([]byte, 0, initiateMinimum+len(metadata)), "INITIATE")
	b = append(b, c.cookie[:]...)
	nonce = shortNonce("CurveZMQINITIATE", 2)
	b = append(b, nonce[16:]...)
	return box.SealAfterPrecomputation(b, plain, &nonce, &c.shared), nil
}

// ready reads the server's last word: its metadata.
func (c *curveClient) ready(body []byte) (metadata []byte, s *session, err error) {
	data, err := commandData(body, "READY", readyMinimum, maxCommand)
	if err != nil {
		return nil, nil, err
	}
	n := binary.BigEndian.Uint64(data)
	nonce := shortNonce("CurveZMQREADY---", n)
	metadata, ok := box.OpenAfterPrecomputation(nil, data[8:], &nonce, &c.shared)
	if !ok {
		return nil, nil, curveError("READY does not open")
	}
	return metadata, newSession(c.shared, false, 2, n), nil
}

// curveServer is the server's side: hello, welcome, initiate, ready.
type curveServer struct {
	keys      *Curve
	chance    io.Reader
	public    Key // short-lived
	secret    Secret
	clientNow Key // the client's short-lived key
	client    Key // the client's lasting key, after initiate
	cookie    [cookieSize]byte
	shared    [32]byte
	recvd     uint64
}

func newCurveServer(keys *Curve, chance io.Reader) (*curveServer, error) {
	s := &curveServer{keys: keys, chance: chance}
	var err error
	s.public, s.secret, err = NewKey(chance)
	return s, err
}

func (s *curveServer) hello(body []byte) error {
	data, err := commandData(body, "HELLO", helloSize, helloSize)
	if err != nil {
		return err
	}
	if data[0] != 1 || data[1] != 0 {
		return curveError(fmt.Sprintf("version %d.%d, want 1.0", data[0], data[1]))
	}
	copy(s.clientNow[:], data[74:])
	s.recvd = binary.BigEndian.Uint64(data[106:])
	nonce := shortNonce("CurveZMQHELLO---", s.recvd)
	plain, ok := box.Open(nil, data[114:], &nonce, (*[32]byte)(&s.clientNow), (*[32]byte)(&s.keys.Secret))
	if !ok {
		return fmt.Errorf("%w: HELLO does not open; the client has another server key than ours", ErrKey)
	}
	var zeros [64]byte
	if subtle.ConstantTimeCompare(plain, zeros[:]) != 1 {
		return curveError("HELLO holds other than zeros")
	}
	return nil
}

// welcome makes the cookie from chance alone: it is opaque to the client, and
// the connection remembers what a stateless server would hide in it.
func (s *curveServer) welcome() ([]byte, error) {
	var fresh [16]byte
	if _, err := io.ReadFull(s.chance, fresh[:]); err != nil {
		return nil, fmt.Errorf("make nonce: %w", err)
	}
	if _, err := io.ReadFull(s.chance, s.cookie[:]); err != nil {
		return nil, fmt.Errorf("make cookie: %w", err)
	}
	b := appendName(make([]byte, 0, welcomeSize), "WELCOME")
	b = append(b, fresh[:]...)
	plain := append(append(make([]byte, 0, 128), s.public[:]...), s.cookie[:]...)
	nonce := longNonce("WELCOME-", fresh[:])
	box.Precompute(&s.shared, (*[32]byte)(&s.clientNow), (*[32]byte)(&s.secret))
	return box.Seal(b, plain, &nonce, (*[32]byte)(&s.clientNow), (*[32]byte)(&s.keys.Secret)), nil
}

// initiate reads who the client is, which its vouch proves, and its metadata.
// The caller asks Curve.knows.
func (s *curveServer) initiate(body []byte) (metadata []byte, err error) {
	data, err := commandData(body, "INITIATE", initiateMinimum, maxCommand)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(data[:cookieSize], s.cookie[:]) != 1 {
		return nil, curveError("INITIATE with a cookie that is not ours")
	}
	n := binary.BigEndian.Uint64(data[cookieSize:])
	if n <= s.recvd {
		return nil, curveError(fmt.Sprintf("nonce %d after %d", n, s.recvd))
	}
	s.recvd = n
	nonce := shortNonce("CurveZMQINITIATE", n)
	plain, ok := box.OpenAfterPrecomputation(nil, data[cookieSize+8:], &nonce, &s.shared)
	if !ok {
		return nil, curveError("INITIATE does not open")
	}
	copy(s.client[:], plain)
	nonce = longNonce("VOUCH---", plain[32:48])
	vouch, ok := box.Open(nil, plain[48:32+vouchSize], &nonce, (*[32]byte)(&s.client), (*[32]byte)(&s.secret))
	own := s.keys.Secret.Public()
	if !ok || subtle.ConstantTimeCompare(vouch[:32], s.clientNow[:])&subtle.ConstantTimeCompare(vouch[32:], own[:]) != 1 {
		return nil, fmt.Errorf("%w: the client's vouch does not prove its key", ErrKey)
	}
	return plain[32+vouchSize:], nil
}

func (s *curveServer) ready(metadata []byte) ([]byte, *session) {
	b := appendName(make([]byte, 0, readyMinimum+len(metadata)), "READY")
	nonce := shortNonce("CurveZMQREADY---", 1)
	b = append(b, nonce[16:]...)
	b = box.SealAfterPrecomputation(b, metadata, &nonce, &s.shared)
	return b, newSession(s.shared, true, 1, s.recvd)
}
