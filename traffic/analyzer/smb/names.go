package smb

import "github.com/picket-nsm/picket/traffic/analyzer"

// Limits of the names of files and shares, in bytes: those of a connection, and
// those of all connections of a worker. Where more would be kept, the connection
// forgets what is open, as it does with too many requests.
const (
	maxConnNames = 2 << 20
	maxNames     = 64 << 20
)

// named counts n bytes of a name that the state now keeps, at most: what is of
// files that were closed meanwhile is taken off when it matters.
func (a *smb) named(n int) {
	a.state.names += n
	a.shared.names += n
}

// bound forgets what is open if its names are too many.
func (a *smb) bound(c analyzer.Conn) {
	if a.state.names <= maxConnNames && a.shared.names <= a.mostNames {
		return
	}
	a.named(a.nameBytes() - a.state.names)
	if a.state.names > maxConnNames/2 || a.shared.names > a.mostNames {
		a.forget()
		analyzer.ReachLimit(c)
	}
}

// forget forgets what is open.
func (a *smb) forget() {
	clear(a.pending)
	clear(a.opened)
	clear(a.trees)
	a.named(-a.state.names)
}

// nameBytes is how many bytes of names the state keeps. A name that is reached in
// two ways counts twice.
func (s *state) nameBytes() (n int) {
	for _, f := range s.opened {
		n += len(f.name) + len(f.tree)
	}
	for _, r := range s.pending {
		n += len(r.file.name) + len(r.file.tree)
		if r.tree != nil {
			n += len(r.tree.path)
		}
	}
	for _, t := range s.trees {
		n += len(t.path)
	}
	return n
}
