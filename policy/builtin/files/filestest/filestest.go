// Package filestest gives files to what reads them for a log of its own: programs,
// certificates, answers about them. It stands in front of a files.Log with one Driver,
// owns both, and reads nothing itself.
package filestest

import (
	"fmt"

	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Conn is a connection that brings files.
type Conn struct {
	table *files.Table
	n     int
}

// New returns a connection whose files are the driver's.
func New(d fileslog.Driver) *Conn {
	log := fileslog.New(fileslog.Default(), func([]value.Value) {})
	log.Use(d)
	return &Conn{table: files.New(files.Default(), log)}
}

// Give brings a file that is there at once, as the protocol called source does.
func (c *Conn) Give(source, mime string, b []byte) {
	c.n++
	c.table.Whole(c, &files.Side{Source: source, Owner: c}, mime, b)
}

// FileHandle implements files.Owner: each file is another one.
func (c *Conn) FileHandle(_ analyzer.Conn, _ bool, dst []byte) []byte { return fmt.Append(dst, c.n) }

// FileOver implements files.Owner.
func (c *Conn) FileOver(analyzer.Conn, *files.File) {}

// ID implements analyzer.Conn.
func (c *Conn) ID() analyzer.ID { return analyzer.ID{UID: "C1", Proto: value.ProtoTCP} }

// Now implements analyzer.Conn.
func (c *Conn) Now() packet.Time { return 1e9 }

// Weird implements analyzer.Conn.
func (c *Conn) Weird(string, string, string) {}

// Confirm implements analyzer.Conn.
func (c *Conn) Confirm(string) {}

// Violation implements analyzer.Conn.
func (c *Conn) Violation(string, string, []byte) {}
