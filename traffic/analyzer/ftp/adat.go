package ftp

import (
	"bytes"
	"encoding/binary"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/format/mime"
)

// exchange takes a line of a security exchange (RFC 2228). Of the mechanisms of
// GSSAPI only that of grids is known: its tokens are records of TLS, which go to
// the child.
func (f *ftp) exchange(c analyzer.Conn, orig bool, line []byte) {
	var token []byte
	has, done := false, false
	if orig {
		word, arg := splitWord(line)
		switch {
		case bytes.HasPrefix([]byte("ADAT"), word):
			token, has = f.decode(c, arg)
			if f.first {
				if !has {
					c.Weird("ftp_adat_bad_first_token_encoding", "", "FTP_ADAT")
				}
				// A record with a handshake, and nothing behind it.
				if len(token) < 5 || token[0] != 0x16 || len(token)-5 != int(binary.BigEndian.Uint16(token[3:])) {
					has, done = false, true
				}
				f.first = false
			}
		case bytes.HasPrefix([]byte("AUTH"), word):
			done = true
		}
	} else {
		switch replyCode(line) {
		case 235, 334, 335:
			done = replyCode(line) == 235
			rest := line[3:]
			if len(rest) > 0 && rest[0] == '-' {
				rest = rest[1:]
			}
			if b, ok := bytes.CutPrefix(skipSpace(rest), []byte("ADAT=")); ok {
				token, has = f.decode(c, b)
			}
		case 232, 234, 421, 431, 500, 501, 503, 535, 631, 632, 633:
			done = true
		}
	}
	if has && len(token) > 0 {
		f.child.Forward(c, orig, token)
	}
	if done {
		f.adat = false
		f.child.Remove(c)
		f.child = 0
	}
}

// decode decodes base64; ok is false if it is none.
func (f *ftp) decode(c analyzer.Conn, b []byte) (plain []byte, ok bool) {
	var d mime.Base64Decoder
	plain, problem := d.Decode(f.s.decoded[:0], b)
	if problem != "" {
		c.Weird("base64_illegal_encoding", problem, "")
	}
	if d.Failed() {
		f.s.decoded = plain
		return nil, false
	}
	if plain, problem = d.End(plain); problem != "" {
		c.Weird("base64_illegal_encoding", problem, "")
	}
	f.s.decoded = plain
	return plain, true
}
