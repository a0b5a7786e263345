package irc

import (
	"encoding/binary"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Board tells the logs of other workers what this one knows, and brings what they
// tell: a direct connection may be another worker's than its session. What
// arrives may be anything.
type Board interface {
	Alone() bool
	Tell(kind string, at packet.Time, data []byte)
	Listen(kind string, read func(at packet.Time, data []byte))
}

// news is the kind of all that is told: a letter, where the direct connection goes
// to, then what is said of it.
const news = "irc"

const (
	newsExpected = 'e' // it is to come: the name of its file
	newsOver     = 'o' // it is over
	newsFile     = 'f' // it brought a file: the id
	newsType     = 't' // of a type: that, or nothing
)

// maxName is how long a name may be that others tell: lines are not longer.
const maxName = 512

func (l *Log) tell(letter byte, e endpoint, now packet.Time, what []byte) {
	if l.board == nil || l.board.Alone() {
		return
	}
	b := binary.BigEndian.AppendUint16(append(append(l.told[:0], letter), e.host[:]...), e.port)
	l.told = append(b, what...)
	l.board.Tell(news, now, l.told)
}

// hear takes what another worker tells.
func (l *Log) hear(at packet.Time, b []byte) {
	const head = 1 + 16 + 2
	if len(b) < head {
		return
	}
	e := endpoint{packet.Addr(b[1:17]), binary.BigEndian.Uint16(b[17:])}
	what := b[head:]
	switch b[0] {
	case newsExpected:
		if len(what) <= maxName && l.expected.room(l.cfg.Transfers, at) {
			l.expected.list[e] = awaited{name: string(what), used: at}
		}
	case newsOver:
		delete(l.expected.list, e)
	case newsFile:
		if w, ok := l.expected.get(e, at); ok && w.i != nil && len(what) >= files.IDSize {
			w.i.file = files.IDFromBytes(what)
		}
	case newsType:
		if w, ok := l.expected.get(e, at); ok && w.i != nil {
			l.arrived(e, w.i, what)
		}
	}
}

// arrived writes the row of a file whose type is known, or known not to be told.
func (l *Log) arrived(e endpoint, i *info, mime []byte) {
	if len(mime) > 0 {
		i.fileType.Put(mime[:min(len(mime), maxName)])
	}
	command := i.command
	i.command = rows.Text{Set: true, B: []byte("DCC")}
	l.emit(i)
	if command.Set && len(command.B) > 0 {
		i.command = command
	}
	i.fileName.Set, i.fileType.Set, i.hasSize = false, false, false
	delete(l.expected.list, e)
}
