package zmtp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// shaken is what a handshake found out about the peer.
type shaken struct {
	minor      byte       // of ZMTP 3
	kind       string     // type of the peer's socket
	properties []Property // that it told, names beginning with X- only
	key        Key        // CURVE server: the client's
	session    *session
}

// handshake greets and agrees on the mechanism. The caller has set a deadline.
// Bytes behind the handshake stay in the input buffer.
func (l *link) handshake(cfg *Config, chance io.Reader) (shaken, error) {
	h, err := l.shake(cfg, chance)
	switch {
	case err == nil:
		return h, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return h, fmt.Errorf("%w: %s", ErrTimeout, cfg.Handshake)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		hint := ""
		switch {
		case !l.greeted:
			hint = " while greeting; libzmq does so when only one side has CURVE"
		case cfg.Curve != nil && !cfg.Curve.Server:
			hint = "; servers do so when the server's public key is not theirs"
		}
		return h, fmt.Errorf("the peer closed the connection during the handshake%s: %w", hint, io.ErrUnexpectedEOF)
	}
	return h, err
}

func (l *link) shake(cfg *Config, chance io.Reader) (h shaken, err error) {
	mechanism := mechNull
	if cfg.Curve != nil {
		mechanism = mechCurve
	}
	asServer := cfg.Curve != nil && cfg.Curve.Server
	// Who accepts keeps its mechanism back until it knows the other's: libzmq hangs
	// up on another mechanism before it has told its own, and nobody would know why.
	mine := appendGreeting(nil, mechanism, asServer)
	now := len(mine)
	if !l.dialed {
		now = greetingVersion
	}
	if _, err := l.conn.Write(mine[:now]); err != nil {
		return h, err
	}
	raw, err := l.greeting()
	if err != nil {
		return h, err
	}
	g, err := parseGreeting(raw)
	if err != nil {
		return h, err
	}
	l.greeted = true
	if now < len(mine) {
		if _, err := l.conn.Write(mine[now:]); err != nil && g.mechanism == mechanism {
			return h, err
		}
	}
	if g.mechanism != mechanism {
		return h, fmt.Errorf("%w: we have %s, the peer has %s", ErrMechanism, mechanism, g.mechanism)
	}
	h.minor = g.minor
	var metadata []byte
	switch {
	case cfg.Curve == nil:
		metadata, err = l.shakeNull(cfg)
	case cfg.Curve.Server:
		metadata, err = l.shakeServer(cfg, chance, &h)
	default:
		metadata, err = l.shakeClient(cfg, chance, &h)
	}
	if err != nil {
		return h, err
	}
	if h.kind, h.properties, err = parseMetadata(metadata); err != nil {
		return h, err
	}
	if !cfg.Type.fits(h.kind) {
		return h, fmt.Errorf("%w: peer is a %q socket, which does not go with our %s; is it the right port?", ErrProtocol, h.kind, cfg.Type)
	}
	return h, nil
}

// greeting reads the peer's 64 bytes, and fails on the first wrong one.
func (l *link) greeting() ([]byte, error) {
	for {
		have := l.in.buf[l.in.at:l.in.w]
		if err := checkSignature(have); err != nil {
			return nil, err
		}
		if len(have) >= greetingSize {
			l.in.at += greetingSize
			return have[:greetingSize], nil
		}
		if err := l.in.fill(l.conn); err != nil {
			return nil, err
		}
	}
}

// command reads one command of the handshake; it is valid until the next call.
func (l *link) command() ([]byte, error) {
	for {
		in := &l.in
		in.r = in.at
		f, ok, err := parseHeader(in.buf[in.at:in.w], maxCommand)
		if err != nil {
			return nil, err
		}
		if ok && f.flags&flagCommand == 0 {
			return nil, fmt.Errorf("%w: message during the handshake", ErrProtocol)
		}
		if ok && in.w-in.at >= f.head+f.size {
			body := in.buf[in.at+f.head : in.at+f.head+f.size]
			in.at += f.head + f.size
			return body, nil
		}
		if err := in.fill(l.conn); err != nil {
			return nil, err
		}
	}
}

func (l *link) send(command []byte) error {
	_, err := l.conn.Write(appendFrame(nil, flagCommand, command))
	return err
}

func (l *link) shakeNull(cfg *Config) ([]byte, error) {
	if err := l.send(appendMetadata(appendName(nil, "READY"), cfg)); err != nil {
		return nil, err
	}
	body, err := l.command()
	if err != nil {
		return nil, err
	}
	return commandData(body, "READY", 0, maxCommand)
}

func (l *link) shakeClient(cfg *Config, chance io.Reader, h *shaken) ([]byte, error) {
	c, err := newCurveClient(cfg.Curve, chance)
	if err != nil {
		return nil, err
	}
	if err := l.send(c.hello()); err != nil {
		return nil, err
	}
	body, err := l.command()
	if err != nil {
		return nil, err
	}
	if err := c.welcome(body); err != nil {
		return nil, err
	}
	initiate, err := c.initiate(appendMetadata(nil, cfg))
	if err != nil {
		return nil, err
	}
	if err := l.send(initiate); err != nil {
		return nil, err
	}
	if body, err = l.command(); err != nil {
		return nil, err
	}
	metadata, session, err := c.ready(body)
	h.session = session
	return metadata, err
}

func (l *link) shakeServer(cfg *Config, chance io.Reader, h *shaken) ([]byte, error) {
	s, err := newCurveServer(cfg.Curve, chance)
	if err != nil {
		return nil, err
	}
	body, err := l.command()
	if err != nil {
		return nil, err
	}
	if err := s.hello(body); err != nil {
		return nil, err
	}
	welcome, err := s.welcome()
	if err != nil {
		return nil, err
	}
	if err := l.send(welcome); err != nil {
		return nil, err
	}
	if body, err = l.command(); err != nil {
		return nil, err
	}
	metadata, err := s.initiate(body)
	if err != nil {
		return nil, err
	}
	h.key = s.client
	if !cfg.Curve.knows(s.client) {
		// 400 is what ZAP answers; libzmq tells it to its user as a failed login.
		l.refuse("400")
		return nil, fmt.Errorf("%w: %s", ErrUnknown, s.client)
	}
	ready, session := s.ready(appendMetadata(nil, cfg))
	h.session = session
	return metadata, l.send(ready)
}

// refuse tells the peer why it goes. The end of our side comes before the
// close, and what still comes is read: a reset could overtake the reason.
func (l *link) refuse(reason string) {
	if _, err := l.conn.Write(appendError(nil, reason)); err != nil {
		return
	}
	if closeWrite(l.conn) == nil {
		_, _ = io.CopyN(io.Discard, l.conn, maxCommand)
	}
}

func closeWrite(c net.Conn) error {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.New("connection cannot be half closed")
}
