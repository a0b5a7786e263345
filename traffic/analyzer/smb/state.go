package smb

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
)

// Commands that are read.
const (
	cmdNegotiate      = 0
	cmdSessionSetup   = 1
	cmdTreeConnect    = 3
	cmdTreeDisconnect = 4
	cmdCreate         = 5
	cmdClose          = 6
	cmdRead           = 8
	cmdWrite          = 9
	cmdIoctl          = 11
	cmdChangeNotify   = 15
	cmdQueryInfo      = 16
	cmdSetInfo        = 17
)

// States that answers carry.
const (
	statusPending        = 0x00000103
	statusNotifyEnumDir  = 0x0000010c
	statusBufferOverflow = 0x80000005
	statusInvalidParam   = 0xc000000d
	statusMoreProcessing = 0xc0000016
)

// header is what is read of a command's header.
type header struct {
	status  uint32
	command uint16
	message uint64 // number that request and answer share
	tree    uint32
}

// failed reports whether an answer says that the request failed, so that its body
// is another (MS-SMB2 3.3.4.4).
func (h *header) failed() bool {
	switch h.status {
	case 0:
		return false
	case statusBufferOverflow:
		return h.command != cmdIoctl && h.command != cmdQueryInfo && h.command != cmdRead
	case statusInvalidParam:
		return h.command != cmdIoctl
	case statusMoreProcessing:
		return h.command != cmdSessionSetup
	case statusNotifyEnumDir:
		return h.command != cmdChangeNotify
	}
	return true
}

// state is what is open on a connection.
type state struct {
	pending map[uint64]*request // by message
	trees   map[uint32]*tree
	opened  map[uint64]*file // by the server's number of the file
	names   int              // bytes of names that these keep, at most
	current *file            // the one that the command at hand is about
	cmd     *request         // the command at hand
}

// request is a command without an answer yet.
type request struct {
	file   *file
	tree   *tree
	treeID uint32
	offset uint64 // of a read
}

// tree is a share that is connected.
type tree struct {
	path string
	pipe bool
}

// file is a file that is open, or about to be.
type file struct {
	tree     string // path of its tree when it was opened
	name     string
	named    bool
	size     uint64
	modified uint64 // as the server says it
}

func (s *state) clear() {
	*s = state{pending: map[uint64]*request{}, trees: map[uint32]*tree{}, opened: map[uint64]*file{}}
}

// command reads one command, b beginning with its header. It reports false if it
// makes no sense.
func (a *smb) command(c analyzer.Conn, orig bool, h *header, b []byte) bool {
	s := &a.state
	if orig && len(s.pending) >= maxPending {
		c.Weird("SMB_discarded_messages_state", fmt.Sprintf("state=tree fid_map=%d tid_map=%d pending_cmds=%d pipe_map=0",
			len(s.opened), len(s.trees), len(s.pending)), "SMB2")
		clear(s.pending)
		clear(s.opened)
	}
	r := s.pending[h.message]
	if r == nil {
		r = &request{file: &file{}}
		if orig || h.status == statusPending && len(s.pending) < maxPending {
			s.pending[h.message] = r
		}
	}
	if orig {
		r.treeID = h.tree
	}
	if h.tree > 0 {
		if r.tree != nil {
			s.keepTree(h.tree, r.tree)
		} else if s.trees[h.tree] == nil {
			s.keepTree(h.tree, &tree{})
		}
		r.tree = s.trees[h.tree]
	}
	if r.tree == nil {
		r.tree = &tree{}
	}
	s.cmd, s.current = r, r.file
	ok := true
	if orig {
		ok = a.request(c, h, b)
	} else {
		if !h.failed() {
			ok = a.answer(c, h, b)
		}
		if h.status != statusPending {
			delete(s.pending, h.message)
		}
	}
	a.bound(c)
	return ok
}

func (s *state) keepTree(id uint32, t *tree) {
	if len(s.trees) < maxOpen || s.trees[id] != nil {
		s.trees[id] = t
	}
}

// open makes the file with a number the current one.
func (s *state) open(id uint64) {
	f := s.opened[id]
	if f == nil {
		if f = s.cmd.file; len(s.opened) < maxOpen {
			s.opened[id] = f
		}
	}
	s.cmd.file, s.current = f, f
}

// isPipe reports whether content of the command at hand belongs to a pipe: in
// answers the tree is that of the request.
func (s *state) isPipe() bool {
	t := s.trees[s.cmd.treeID]
	return t != nil && t.pipe
}

// content hands bytes of the current file on.
func (a *smb) content(c analyzer.Conn, orig bool, offset uint64, data []byte) {
	if a.isPipe() || len(data) == 0 {
		return
	}
	from := files.Side{Source: Name, Owner: a, Orig: orig}
	a.files.DataAt(c, &from, &files.Ref{}, offset, data)
}

// FileHandle implements files.Owner: a file of a server is one, whatever the
// connections, until it is modified. The name is built as Zeek builds it, so that
// the file has the same id there.
func (a *smb) FileHandle(c analyzer.Conn, _ bool, dst []byte) []byte {
	f := a.current
	if f == nil || !f.named && f.tree == "" {
		return dst
	}
	id := c.ID()
	dst = append(dst, "Analyzer::ANALYZER_SMB"...)
	dst = netip.AddrFrom16(id.Resp).Unmap().AppendTo(netip.AddrFrom16(id.Orig).Unmap().AppendTo(dst))
	dst = appendClean(appendClean(dst, f.tree), f.name)
	return strconv.AppendUint(dst, f.modified, 10)
}

// appendClean appends text in printable ASCII.
func appendClean(dst []byte, s string) []byte {
	for _, b := range []byte(s) {
		if b < ' ' || b > '~' {
			dst = fmt.Appendf(dst, "\\x%02x", b)
		} else {
			dst = append(dst, b)
		}
	}
	return dst
}

// FileOver implements files.Owner.
func (a *smb) FileOver(_ analyzer.Conn, f *files.File) {
	cur := a.current
	if cur == nil {
		return
	}
	if cur.size > 0 {
		f.Total, f.HasTotal = cur.size, true
	}
	if cur.named {
		f.Name, f.HasName = cur.name, true
	}
}
