package ssh

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/format/octets"
	"github.com/picket-nsm/picket/zeek/value"
)

// reader takes a packet apart.
type reader struct {
	octets.Reader
	a *ssh
	c analyzer.Conn
}

// str reads a string with its length in front (RFC 4251 section 5).
func (r *reader) str() []byte {
	n := r.U32()
	if r.Bad {
		return nil
	}
	if most := uint32(r.a.s.cfg.MaxString); most > 0 && n > most {
		r.a.limit(r.c, "SSH_max_string_length_exceeded", uint64(n), uint64(most))
		n = most
	}
	return r.Take(int(n))
}

// mpint reads a number of SSH 1, with its length in bits in front.
func (r *reader) mpint() []byte { return r.Take((int(r.U16()) + 7) / 8) }

// Messages of SSH 1 and 2 that matter before encryption. The numbers from 30 on
// depend on the kind of key exchange.
const (
	msg1PublicKey  = 2
	msg1SessionKey = 3
	msgNewKeys     = 21
	msgFirst       = 30
)

// message1 takes a packet of SSH 1: padding, type, content, checksum.
func (a *ssh) message1(c analyzer.Conn, orig bool, s *side, body []byte) bool {
	r := reader{octets.Reader{B: body}, a, c}
	r.Take(8 - int(s.capped%8))
	kind := r.U8()
	in := reader{octets.Reader{B: r.Take(int(s.capped) - 5), Bad: r.Bad}, a, c}
	switch {
	case r.Bad:
		return false
	case kind == msg1PublicKey:
		in.Take(8 + 4)
		in.mpint()
		in.mpint()
		in.U32()
		exp, mod := in.mpint(), in.mpint()
		in.Take(12)
		if in.Bad {
			return false
		}
		h := sha256.New()
		h.Write(mod)
		h.Write(exp)
		h.Sum(a.digest[:0])
		a.fingerprint(c)
	case kind == msg1SessionKey:
		in.Take(1 + 8)
		in.mpint()
		in.U32()
		if in.Bad {
			return false
		}
		c.Confirm(service)
	default:
		return false
	}
	s.state = encrypted
	return true
}

// message2 takes a packet of SSH 2: length of the padding, type, content,
// padding.
func (a *ssh) message2(c analyzer.Conn, orig bool, s *side, body []byte) bool {
	r := reader{octets.Reader{B: body}, a, c}
	pad, kind := int(r.U8()), r.U8()
	if r.Bad {
		return false
	}
	if kind == msgNewKeys {
		s.state = encrypted
	}
	n := len(body) - pad - 2
	if s.state == atECC {
		// As in Zeek the content ends where its strings do.
		return a.ecc(c, &r, kind) && len(r.B) >= pad
	}
	in := reader{octets.Reader{B: r.Take(n)}, a, c}
	if r.Bad {
		return false
	}
	switch s.state {
	case atKexinit:
		return a.kexinit(c, orig, &in)
	case atDH:
		switch kind {
		case msgFirst:
			in.str()
		case msgFirst + 1:
			a.hostKeyReply(c, &in)
		}
	case atGEX:
		switch kind {
		case msgFirst:
			in.Take(4)
		case msgFirst + 1:
			in.str()
			in.str()
		case msgFirst + 2:
			in.str()
		case msgFirst + 3:
			a.hostKeyReply(c, &in)
		case msgFirst + 4:
			in.Take(12)
		}
	case atGSS:
		a.gss(c, &in, kind)
	case atRSA:
		switch kind {
		case msgFirst:
			in.str()
			in.str()
		case msgFirst + 1, msgFirst + 2:
			in.str()
		default:
			return false
		}
	}
	if in.Bad {
		return false
	}
	if kind == msgNewKeys {
		c.Confirm(service)
	}
	return true
}

// hostKeyReply reads a key, a value of the exchange, a signature.
func (a *ssh) hostKeyReply(c analyzer.Conn, r *reader) {
	key := r.str()
	r.str()
	r.str()
	if !r.Bad {
		a.hostKey(c, key)
	}
}

// ecc reads a message of an exchange over elliptic curves, or of one that looks
// the same.
func (a *ssh) ecc(c analyzer.Conn, r *reader, kind uint8) bool {
	switch kind {
	case msgFirst:
		r.str()
	case msgFirst + 1:
		a.hostKeyReply(c, r)
	default:
		return false
	}
	return !r.Bad
}

// gss reads a message of a GSS-API exchange (RFC 4462).
func (a *ssh) gss(c analyzer.Conn, r *reader, kind uint8) {
	switch kind {
	case 30:
		r.str()
		r.str()
	case 31:
		r.str()
	case 32:
		r.str()
		r.str()
		if r.U8() != 0 {
			r.str()
		}
	case 33:
		if key := r.str(); !r.Bad {
			a.hostKey(c, key)
		}
	case 34:
		r.Take(8)
		r.str()
		r.str()
	case 40:
		r.Take(12)
	case 41:
		r.str()
		r.str()
	default:
		r.Bad = true
	}
}

func (a *ssh) hostKey(c analyzer.Conn, key []byte) {
	a.digest = sha256.Sum256(key)
	a.fingerprint(c)
}

// fingerprint tells the digest as ssh-keygen prints it; Zeek 9.0 shows 32 of its
// 43 letters.
func (a *ssh) fingerprint(c analyzer.Conn) {
	copy(a.finger[:], "SHA256:")
	base64.RawStdEncoding.Encode(a.finger[7:], a.digest[:24])
	a.h.HostKey(c, a.finger[:])
}

// kexLimit names the weird of a list that is too long.
func kexLimit(list int) string {
	return [numLists]string{
		"SSH_max_kexinit_kex_algorithms_exceeded", "SSH_max_kexinit_hostkey_algorithms_exceeded",
		"SSH_max_kexinit_encryption_algorithms_exceeded", "SSH_max_kexinit_encryption_algorithms_exceeded",
		"SSH_max_kexinit_mac_algorithms_exceeded", "SSH_max_kexinit_mac_algorithms_exceeded",
		"SSH_max_kexinit_compression_algorithms_exceeded", "SSH_max_kexinit_compression_algorithms_exceeded",
		"SSH_max_kexinit_languages_exceeded", "SSH_max_kexinit_languages_exceeded",
	}[list]
}

// kexinit reads what a side offers (RFC 4253 section 7.1).
func (a *ssh) kexinit(c analyzer.Conn, orig bool, r *reader) bool {
	k := &a.s.k
	defer func() { *k = Kexinit{} }()
	r.Take(16)
	for i := range k.Lists {
		k.Lists[i] = r.str()
	}
	r.Take(1 + 4)
	if r.Bad {
		return false
	}
	k.Server = !orig
	over := [numLists]int{}
	for i, list := range k.Lists {
		k.Lists[i], over[i] = a.cut(list)
	}
	a.setKex(c, orig, k.Lists[Kex])
	for i, n := range over {
		if n > 0 && (i < LanguageUp || len(k.Lists[i]) > 0) {
			a.limit(c, kexLimit(i), uint64(n), uint64(a.s.cfg.MaxNames))
		}
	}
	a.h.Kexinit(c, k)
	return true
}

// cut shortens a list to the names that are looked at; n is how many there were
// if that was too many.
func (a *ssh) cut(list []byte) (short []byte, n int) {
	most := a.s.cfg.MaxNames
	if n = bytes.Count(list, []byte{','}) + 1; most <= 0 || n <= most {
		return list, 0
	}
	end := 0
	for range most {
		end += bytes.IndexByte(list[end:], ',') + 1
	}
	return list[:end-1], n
}

// Common returns the first of the client's names that the server has, too.
func Common(client, server []byte) (name []byte, ok bool) {
	for rest, more := client, true; more; {
		name, rest, more = bytes.Cut(rest, []byte{','})
		for other, on := server, true; on; {
			var s []byte
			if s, other, on = bytes.Cut(other, []byte{','}); bytes.Equal(s, name) {
				return name, true
			}
		}
	}
	return nil, false
}

// setKex decides how the key exchange goes on, once both sides have offered.
func (a *ssh) setKex(c analyzer.Conn, orig bool, algs []byte) {
	if !a.kexSeen {
		a.kexSeen, a.kexOrig = true, orig
		a.kexAlgs = append(a.kexAlgs[:0], algs...)
		return
	}
	if a.kexOrig == orig {
		return
	}
	client, server := a.kexAlgs, algs
	if orig {
		client, server = algs, a.kexAlgs
	}
	name, ok := Common(client, server)
	if !ok {
		return
	}
	state := kexKind(value.Borrow(name))
	if state == 0 {
		c.Weird("ssh_unknown_kex_algorithm", value.Borrow(name), Source)
		return
	}
	a.dir[0].state, a.dir[1].state = state, state
}

// kexKind returns what messages follow with a method, 0 if that is not known.
func kexKind(name string) uint8 {
	has := func(prefix string) bool { return len(name) >= len(prefix) && name[:len(prefix)] == prefix }
	switch name {
	case "rsa1024-sha1", "rsa2048-sha256":
		return atRSA
	case "diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group14-sha256",
		"diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512":
		return atDH
	case "diffie-hellman-group-exchange-sha1", "diffie-hellman-group-exchange-sha256":
		return atGEX
	case "ecmqv-sha2":
		return atECC
	}
	switch {
	case has("gss-"):
		return atGSS
	case has("ecdh-sha2-"), has("curve25519-sha256"), has("sntrup761x25519-sha512"), has("mlkem"):
		return atECC
	}
	return 0
}
