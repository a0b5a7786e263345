package supervisor

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/node"
)

// Spool is the folder where a cluster lives on this machine: one folder per
// node, the state, the bus's credentials, the control socket. Only its owner
// may look in.
type Spool struct {
	Dir    string
	lock   *os.File
	shared bool // with a group
}

// ErrLocked says that another supervisor works in the spool.
var ErrLocked = errors.New("another picket up works in this spool")

const (
	fileState       = "state.json"
	fileLock        = "lock"
	fileCredentials = "credentials.json"
	fileSocket      = "control.sock"
)

// OpenSpool makes the folder if need be and takes it for this supervisor alone,
// until Close or the end of the process.
func OpenSpool(dir string) (*Spool, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open spool %s: %w", dir, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	// A folder made by an earlier hand may be open to all: it holds a password.
	if err := os.Chmod(abs, 0o700); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(abs, fileLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("open spool %s: %w", dir, err)
	}
	return &Spool{Dir: abs, lock: f}, nil
}

// Share lets the members of a group use the control socket that Listen opens, and
// see the state. The bus's password stays the owner's.
func (s *Spool) Share(group string) error {
	g, err := user.LookupGroup(group)
	if err != nil {
		return fmt.Errorf("share spool with group %s: %w", group, err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("share spool with group %s: %w", group, err)
	}
	lock := filepath.Join(s.Dir, fileLock)
	// They pass through the folder, but do not list it. What is made in it from now
	// on is the group's, as far as its mode lets them.
	err = errors.Join(os.Chown(s.Dir, -1, gid), os.Chmod(s.Dir, os.ModeSetgid|0o710), os.Chown(lock, -1, gid), os.Chmod(lock, 0o640))
	if err != nil {
		return fmt.Errorf("share spool with group %s: %w", group, err)
	}
	s.shared = true
	return nil
}

// Close lets others have the spool.
func (s *Spool) Close() error { return s.lock.Close() }

// Held says whether a supervisor works in the spool now.
func Held(dir string) bool {
	f, err := os.Open(filepath.Join(dir, fileLock))
	if err != nil {
		return false
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return errors.Is(err, syscall.EWOULDBLOCK)
	}
	return false
}

// ErrDamaged says that a state cannot be read, as after a power cut.
var ErrDamaged = errors.New("damaged")

// LoadState reads what the last supervisor saved; the zero State if there was
// none. The error is of kind ErrDamaged where the file is not what was saved.
func LoadState(dir string) (State, error) {
	var st State
	text, err := os.ReadFile(filepath.Join(dir, fileState))
	if errors.Is(err, os.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return st, fmt.Errorf("load state: %w", err)
	}
	if err := json.Unmarshal(text, &st); err != nil {
		return State{}, fmt.Errorf("load state %s: %w: %w", filepath.Join(dir, fileState), ErrDamaged, err)
	}
	if st.Version != stateVersion {
		return State{}, fmt.Errorf("load state %s: version %d, this picket knows %d", filepath.Join(dir, fileState), st.Version, stateVersion)
	}
	return st, nil
}

// SetStateAside keeps a damaged state under another name, and returns that.
func (s *Spool) SetStateAside() (string, error) {
	path := filepath.Join(s.Dir, fileState)
	if err := os.Rename(path, path+".damaged"); err != nil {
		return "", fmt.Errorf("set state aside: %w", err)
	}
	return path + ".damaged", nil
}

// Save keeps the state. A reader sees the old one or the new one, whole.
func (s *Spool) Save(st State) error {
	text, err := json.MarshalIndent(st, "", " ")
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	mode := os.FileMode(0o600)
	if s.shared {
		mode = 0o640
	}
	return s.write(fileState, text, mode)
}

func (s *Spool) write(name string, text []byte, mode os.FileMode) error {
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path+".new", text, mode); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// Credentials is where the bus of this run is, and the password that lets in.
type Credentials struct {
	Run   string    `json:"run"`
	Bus   node.Bus  `json:"bus"`
	Since time.Time `json:"since"`
}

// NewCredentials makes a run id, a user and a password that nobody can guess.
func NewCredentials(url string, now time.Time) Credentials {
	b := make([]byte, 8+24)
	rand.Read(b) // never fails
	return Credentials{
		Run:   hex.EncodeToString(b[:8]),
		Bus:   node.Bus{URL: url, User: "picket", Token: hex.EncodeToString(b[8:])},
		Since: now,
	}
}

// SaveCredentials keeps them for the next supervisor, which adopts nodes that know them.
func (s *Spool) SaveCredentials(c Credentials) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("save credentials: %w", err)
	}
	return s.write(fileCredentials, text, 0o600)
}

// LoadCredentials reads them.
func (s *Spool) LoadCredentials() (Credentials, error) {
	var c Credentials
	text, err := os.ReadFile(filepath.Join(s.Dir, fileCredentials))
	if err != nil {
		return c, fmt.Errorf("load credentials: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("load credentials: %w", err)
	}
	return c, nil
}

// Survivors names the nodes of an earlier supervisor that still run.
func Survivors(st State, e engine.Engine) []NodeState {
	var out []NodeState
	for _, n := range st.Nodes {
		if n.Handle.PID == 0 {
			continue
		}
		if _, err := e.Adopt(n.Name, n.Handle); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// Observe reads what a node says of itself from its ledger. A node that has
// none, or a damaged one, says nothing.
func (s *Spool) Observe(name string) Observation {
	h, err := ledger.ReadHead(filepath.Join(s.Dir, name))
	if err != nil || h.Node != name {
		return Observation{}
	}
	return Observation{
		PID:   h.Pid,
		Ready: h.State == ledger.Ready || h.State == ledger.Draining,
		Ended: h.State == ledger.Stopped,
		Beat:  h.Heartbeat,
	}
}

// evidenceLines is how much of a dead node's stderr goes into the state; the
// whole stays in its folder, as stderr.log and stderr.log.1 after the restart.
const evidenceLines = 10

// Evidence returns the last lines of a node's stderr.
func (s *Spool) Evidence(name string) []string {
	f, err := os.Open(filepath.Join(s.Dir, name, "stderr.log"))
	if err != nil {
		return nil
	}
	defer f.Close()
	const tail = 16 << 10
	st, err := f.Stat()
	if err != nil {
		return nil
	}
	buf := make([]byte, min(st.Size(), tail))
	n, _ := f.ReadAt(buf, st.Size()-int64(len(buf)))
	lines := strings.Split(strings.TrimRight(string(buf[:n]), "\n"), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	// A Go crash begins with its cause and ends with pages of stacks: the cause matters.
	for i, l := range lines {
		if strings.HasPrefix(l, "panic:") || strings.HasPrefix(l, "fatal error:") {
			return lines[i:min(len(lines), i+evidenceLines)]
		}
	}
	return lines[max(0, len(lines)-evidenceLines):]
}
