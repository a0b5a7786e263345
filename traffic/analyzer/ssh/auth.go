package ssh

import "github.com/picket-nsm/picket/traffic/analyzer"

// Sizes that show through the encryption of SSH 2, in what a server sends.
const (
	// minusSuccess is how much shorter SSH_MSG_USERAUTH_SUCCESS (8 bytes) is than
	// SSH_MSG_SERVICE_ACCEPT (24 bytes).
	minusSuccess = 16
	// banner is how much longer than the latter the first reply may be before it is
	// taken for a text that the server shows at login.
	banner = 256
)

// auth guesses how a login went from the sizes of pieces. The server's first
// one accepts the service; the next is a success, or what a failure looks like
// here; each of that size is a failed attempt.
type auth struct {
	decided bool
	client  bool // the client has sent something encrypted
	banner  bool
	accept  int
	failure int
}

// encrypted takes the size of a piece of encrypted bytes.
func (a *ssh) encrypted(c analyzer.Conn, orig bool, n int) {
	t := &a.auth
	switch {
	case t.decided || a.version != ssh2:
	case orig:
		t.client = true
	case !t.client:
	case t.accept == 0:
		t.accept = n
	case n+minusSuccess == t.accept:
		t.decided = true
		if a.h.Auth(c, true) {
			a.stop(c)
		}
	case t.failure == 0 && !t.banner && n-t.accept > banner:
		t.banner = true
	case t.failure == 0:
		t.failure = n
	case n == t.failure:
		a.h.Auth(c, false)
	}
}
