package smb

import (
	"bytes"
	"unicode/utf16"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
)

// body returns a command's body if it has n bytes.
func body(b []byte, n int) []byte {
	if len(b) < headerSize+n {
		return nil
	}
	return b[headerSize:]
}

// within returns n bytes at an offset from the header's beginning. ok is false if
// they are not there.
func within(b []byte, offset, n uint64) ([]byte, bool) {
	if n == 0 {
		return nil, true
	}
	if offset < headerSize || offset > uint64(len(b)) || n > uint64(len(b))-offset {
		return nil, false
	}
	return b[offset : offset+n], true
}

// maxName is how many characters of a name are kept.
const maxName = 2048

// text makes UTF-8 of UTF-16.
func text(b []byte) string {
	u := make([]uint16, min(len(b)/2, maxName))
	for i := range u {
		u[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// number returns what names an open file: its two halves, added.
func number(b []byte) uint64 { return order.Uint64(b) + order.Uint64(b[8:]) }

// epoch1970 is 1970 in steps of 100 ns since 1601.
const epoch1970 = 116444736000000000

// isPipeName tells the names that only pipes have (SMB::pipe_filenames).
func isPipeName(name string) bool {
	switch name {
	case "spoolss", "winreg", "samr", "srvsvc", "netdfs", "lsarpc", "wkssvc", "MsFteWds":
		return true
	}
	return false
}

// request reads what the client asks for.
func (a *smb) request(c analyzer.Conn, h *header, b []byte) bool {
	s := &a.state
	switch h.command {
	case cmdSessionSetup:
		p := body(b, 24)
		if p == nil {
			return false
		}
		return a.authentication(c, b, order.Uint16(p[12:]), order.Uint16(p[14:]))
	case cmdTreeConnect:
		p := body(b, 8)
		if p == nil {
			return false
		}
		path, ok := within(b, uint64(order.Uint16(p[4:])), uint64(order.Uint16(p[6:])))
		if ok {
			s.cmd.tree.path = text(path)
			a.named(len(s.cmd.tree.path))
		}
		return ok
	case cmdTreeDisconnect:
		delete(s.trees, h.tree)
	case cmdCreate:
		p := body(b, 56)
		if p == nil {
			return false
		}
		name, ok := within(b, uint64(order.Uint16(p[44:])), uint64(order.Uint16(p[46:])))
		if !ok {
			return false
		}
		f := s.current
		f.name, f.named = text(name), true
		a.named(len(f.name))
		if !s.isPipe() && isPipeName(f.name) {
			s.cmd.tree.path, s.cmd.tree.pipe = "<unknown>", true
		}
		if f.name == "" {
			f.name = "<share_root>"
		}
	case cmdClose:
		p := body(b, 24)
		if p == nil {
			return false
		}
		id := number(p[8:])
		s.open(id)
		if s.cmd.tree.path != "" {
			s.current.tree = s.cmd.tree.path
			a.named(len(s.current.tree))
		}
		delete(s.opened, id)
		a.files.End(c, &files.Side{Source: Name, Owner: a, Orig: true}, &files.Ref{})
	case cmdRead:
		p := body(b, 48)
		if p == nil {
			return false
		}
		s.open(number(p[16:]))
		s.cmd.offset = order.Uint64(p[8:])
	case cmdWrite:
		p := body(b, 48)
		if p == nil {
			return false
		}
		data, ok := within(b, uint64(order.Uint16(p[2:])), uint64(order.Uint32(p[4:])))
		if !ok {
			return false
		}
		s.open(number(p[16:]))
		a.content(c, true, order.Uint64(p[8:]), data)
	case cmdSetInfo:
		return a.setInfo(b)
	}
	return true
}

// setInfo reads the new name of a file; other settings are passed over.
func (a *smb) setInfo(b []byte) bool {
	const (
		infoFile   = 1
		renameInfo = 10
	)
	p := body(b, 32)
	if p == nil {
		return false
	}
	if p[2] != infoFile || p[3] != renameInfo {
		return true
	}
	info, ok := within(b, uint64(order.Uint16(p[8:])), uint64(order.Uint32(p[4:])))
	if !ok || len(info) < 20 {
		return false
	}
	n := uint64(order.Uint32(info[16:]))
	if n > uint64(len(info)-20) {
		return false
	}
	a.open(number(p[16:]))
	a.current.name, a.current.named = text(info[20:20+n]), true
	a.named(len(a.current.name))
	return true
}

// answer reads what the server says to a request that succeeded.
func (a *smb) answer(c analyzer.Conn, h *header, b []byte) bool {
	s := &a.state
	switch h.command {
	case cmdNegotiate:
		p := body(b, 64)
		if p == nil {
			return false
		}
		return a.authentication(c, b, order.Uint16(p[56:]), order.Uint16(p[58:]))
	case cmdSessionSetup:
		p := body(b, 8)
		if p == nil {
			return false
		}
		return a.authentication(c, b, order.Uint16(p[4:]), order.Uint16(p[6:]))
	case cmdTreeConnect:
		p := body(b, 16)
		if p == nil {
			return false
		}
		const pipe = 2
		s.cmd.tree.pipe = p[2] == pipe
	case cmdCreate:
		p := body(b, 88)
		if p == nil {
			return false
		}
		id := number(p[64:])
		s.open(id)
		f := s.current
		f.size = order.Uint64(p[48:])
		if s.cmd.tree.path != "" {
			f.tree = s.cmd.tree.path
			a.named(len(f.tree))
		}
		if modified := order.Uint64(p[24:]); modified > epoch1970 {
			f.modified = modified
		}
	case cmdRead:
		p := body(b, 16)
		if p == nil {
			return false
		}
		data, ok := within(b, uint64(p[2]), uint64(order.Uint32(p[4:])))
		if !ok {
			return false
		}
		a.content(c, false, s.cmd.offset, data)
	}
	return true
}

// authentication says by which name the client shows who it is. Its tokens are
// read no further.
func (a *smb) authentication(c analyzer.Conn, b []byte, offset, n uint16) bool {
	token, ok := within(b, uint64(offset), uint64(n))
	if !ok || len(token) < 8 {
		return ok
	}
	ntlm := []byte("NTLMSSP\x00")
	if !bytes.HasPrefix(token, ntlm) {
		const initial, answer = 0x60, 0xa1 // RFC 4178: NegTokenInit in its envelope, NegTokenResp
		if token[0] != initial && token[0] != answer {
			return true
		}
		c.Confirm("gssapi")
		if !bytes.Contains(token, ntlm) {
			return true
		}
	}
	c.Confirm("ntlm")
	return true
}
