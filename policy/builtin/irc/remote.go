package irc

import (
	"github.com/picket-nsm/picket/policy/await"
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
)

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

func (l *Log) tell(letter byte, e await.Endpoint, now packet.Time, what []byte) {
	if l.board == nil || l.board.Alone() {
		return
	}
	l.told = append(e.Append(append(l.told[:0], letter)), what...)
	l.board.Tell(news, now, l.told)
}

// hear takes what another worker tells.
func (l *Log) hear(at packet.Time, b []byte) {
	if len(b) == 0 {
		return
	}
	e, what, ok := await.ParseEndpoint(b[1:])
	if !ok {
		return
	}
	switch b[0] {
	case newsExpected:
		if len(what) <= maxName && !l.expected.Full(at) {
			l.expected.Put(e, awaited{name: string(what)}, at)
		}
	case newsOver:
		l.expected.Forget(e)
	case newsFile:
		if w, ok := l.expected.Get(e, at); ok && w.i != nil && len(what) >= files.IDSize {
			w.i.file = files.IDFromBytes(what)
		}
	case newsType:
		if w, ok := l.expected.Get(e, at); ok && w.i != nil {
			l.arrived(e, w.i, what)
		}
	}
}

// arrived writes the row of a file whose type is known, or known not to be told.
func (l *Log) arrived(e await.Endpoint, i *info, mime []byte) {
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
	l.expected.Forget(e)
}
