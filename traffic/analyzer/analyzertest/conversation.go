package analyzertest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// Turn is one step of a conversation: bytes from one side, a gap, a pause, or
// the end of one side's stream.
type Turn struct {
	Orig  bool
	Data  []byte
	Gap   uint64  // bytes that never come, in place of Data
	Wait  float64 // seconds that pass before
	Close bool    // the side closes
	Reset bool    // the connection is reset
}

// Conversation is what two sides said, and what an analyzer should see in it.
type Conversation struct {
	Name   string
	ID     analyzer.ID
	Turns  []Turn
	Events []string

	path string
	text []byte // of the file
}

// Stream reports whether the conversation is a stream, that may be cut anywhere.
func (c *Conversation) Stream() bool { return c.ID.Proto == value.ProtoTCP }

// size returns the bytes of all turns.
func (c *Conversation) size() int {
	n := 0
	for i := range c.Turns {
		n += len(c.Turns[i].Data)
	}
	return n
}

// Load reads the conversations of a folder, dir/*.txtar. A file holds a comment,
// then three sections:
//
//	-- conn --
//	udp 192.0.2.1:40000 192.0.2.53:53
//	-- turns --
//	> 0001 "text" 00      bytes of the originator: hexadecimal or quoted
//	< 0002                of the responder
//	  0003                more of the same turn
//	gap < 100             100 bytes of the responder are lost
//	wait 1.5              seconds pass
//	close >               the originator closes
//	reset                 the connection is reset
//	-- events --
//	what the handler and the connection saw, a line each
func Load(t testing.TB, dir string) []*Conversation {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no conversations in %s (%v)", dir, err)
	}
	var all []*Conversation
	for _, p := range paths {
		c, err := load(p)
		if err != nil {
			t.Fatalf("read %s: %v", p, err)
		}
		all = append(all, c)
	}
	return all
}

func load(path string) (*Conversation, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &Conversation{Name: strings.TrimSuffix(filepath.Base(path), ".txtar"), path: path, text: b}
	section := ""
	for n, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		if name, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(name, " --") {
			section = strings.TrimSuffix(name, " --")
			continue
		}
		var err error
		switch section {
		case "conn":
			err = c.conn(line)
		case "turns":
			err = c.turn(line)
		case "events":
			c.Events = append(c.Events, line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	if c.ID.Proto == value.ProtoUnknown {
		return nil, fmt.Errorf("section conn is missing")
	}
	return c, nil
}

// update writes events into the conversation's file.
func (c *Conversation) update(events []string) error {
	mark := []byte("-- events --\n")
	at := bytes.Index(c.text, mark)
	if at < 0 {
		c.text = append(c.text, mark...)
		at = len(c.text) - len(mark)
	}
	out := append(c.text[:at:at], mark...)
	for _, e := range events {
		out = append(append(out, e...), '\n')
	}
	return os.WriteFile(c.path, out, 0o644)
}

func (c *Conversation) conn(line string) error {
	f := strings.Fields(line)
	if len(f) == 0 {
		return nil
	}
	if len(f) != 3 {
		return fmt.Errorf("want PROTO ORIG:PORT RESP:PORT")
	}
	switch f[0] {
	case "tcp":
		c.ID.Proto = value.ProtoTCP
	case "udp":
		c.ID.Proto = value.ProtoUDP
	default:
		return fmt.Errorf("protocol %q is not tcp or udp", f[0])
	}
	orig, err := netip.ParseAddrPort(f[1])
	if err != nil {
		return err
	}
	resp, err := netip.ParseAddrPort(f[2])
	if err != nil {
		return err
	}
	c.ID.UID = "CTest"
	c.ID.Orig, c.ID.OrigP = orig.Addr().As16(), orig.Port()
	c.ID.Resp, c.ID.RespP = resp.Addr().As16(), resp.Port()
	return nil
}

func (c *Conversation) turn(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "":
		if strings.TrimSpace(rest) == "" {
			return nil
		}
		if len(c.Turns) == 0 {
			return fmt.Errorf("nothing to continue")
		}
	case ">", "<":
		c.Turns = append(c.Turns, Turn{Orig: word == ">"})
	case "gap":
		side, n, _ := strings.Cut(rest, " ")
		gap, err := strconv.ParseUint(n, 10, 32)
		c.Turns = append(c.Turns, Turn{Orig: side == ">", Gap: gap})
		return err
	case "wait":
		w, err := strconv.ParseFloat(rest, 64)
		c.Turns = append(c.Turns, Turn{Wait: w})
		return err
	case "close":
		c.Turns = append(c.Turns, Turn{Orig: rest == ">", Close: true})
		return nil
	case "reset":
		c.Turns = append(c.Turns, Turn{Reset: true})
		return nil
	default:
		return fmt.Errorf("unknown word %q", word)
	}
	t := &c.Turns[len(c.Turns)-1]
	var err error
	t.Data, err = appendBytes(t.Data, rest)
	return err
}

// appendBytes appends what s says: hexadecimal digits and quoted strings.
func appendBytes(b []byte, s string) ([]byte, error) {
	for {
		s = strings.TrimSpace(s)
		if s == "" {
			return b, nil
		}
		if s[0] == '"' {
			q, err := strconv.QuotedPrefix(s)
			if err != nil {
				return nil, err
			}
			text, err := strconv.Unquote(q)
			if err != nil {
				return nil, err
			}
			b, s = append(b, text...), s[len(q):]
			continue
		}
		word, rest, _ := strings.Cut(s, " ")
		var err error
		if b, err = hex.AppendDecode(b, []byte(word)); err != nil {
			return nil, err
		}
		s = rest
	}
}
