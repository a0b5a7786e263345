package ftp

import (
	"github.com/picket-nsm/picket/policy/await"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
)

// news is the kind of all that is told: a letter, then what it says.
const news = "ftp"

const (
	newsExpected = 'e' // a data connection to come: where to, and the UID of the control connection
	newsOver     = 'o' // it is over: where to
	newsFile     = 'f' // it brought a file: the id, and that UID
	newsType     = 't' // of a type: that, a zero, and that UID
)

// maxUID is how long a UID may be that others tell.
const maxUID = 64

// tellExpected tells of a data connection of s.
func (l *Log) tellExpected(s *session, e await.Endpoint, now packet.Time) {
	if l.deps.Board == nil || l.deps.Board.Alone() {
		return
	}
	if !s.shared {
		s.shared = true
		l.shared[string(s.UID())] = s
	}
	l.told = append(e.Append(append(l.told[:0], newsExpected)), s.UID()...)
	l.deps.Board.Tell(news, now, l.told)
}

func (l *Log) tellOver(e await.Endpoint, now packet.Time) {
	if l.deps.Board != nil {
		l.told = e.Append(append(l.told[:0], newsOver))
		l.deps.Board.Tell(news, now, l.told)
	}
}

// tellFile tells the session with that UID, elsewhere, of the file of a data
// connection.
func (l *Log) tellFile(uid string, id files.ID, now packet.Time) {
	l.told = append(id.AppendBytes(append(l.told[:0], newsFile)), uid...)
	l.deps.Board.Tell(news, now, l.told)
}

// tellType tells it of the type.
func (l *Log) tellType(uid, mime string, now packet.Time) {
	l.told = append(append(append(append(l.told[:0], newsType), mime...), 0), uid...)
	l.deps.Board.Tell(news, now, l.told)
}

// hear takes what another worker tells.
func (l *Log) hear(at packet.Time, b []byte) {
	if len(b) == 0 {
		return
	}
	letter, b := b[0], b[1:]
	switch letter {
	case newsExpected:
		if e, uid, ok := await.ParseEndpoint(b); ok && len(uid) <= maxUID {
			l.expected.Put(e, awaited{uid: string(uid)}, at)
		}
	case newsOver:
		if e, _, ok := await.ParseEndpoint(b); ok {
			l.expected.Forget(e)
		}
	case newsFile:
		if len(b) < files.IDSize {
			return
		}
		if s := l.meant(b[files.IDSize:], at); s != nil {
			s.fuid = files.IDFromBytes(b)
		}
	case newsType:
		for i, c := range b {
			if c == 0 {
				if s := l.meant(b[i+1:], at); s != nil {
					s.mime.Put(b[:i])
				}
				return
			}
		}
	}
}

// distant is a session of another worker, as the watcher of its file.
type distant struct {
	log *Log
	uid string
}

// FileSniffed implements files.Watcher.
func (d distant) FileSniffed(f *files.File) {
	if f.MIME != "" {
		d.log.tellType(d.uid, f.MIME, f.Now())
	}
}
