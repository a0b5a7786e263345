package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/api/control"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
)

// badge is the flags that say who we are to a server, and who the server must be.
type badge struct {
	tokenFile, ca, cert, key string
}

func (b *badge) add(cmd *cobra.Command, scheme string) {
	f := cmd.PersistentFlags()
	f.StringVar(&b.tokenFile, "token-file", "", "file that holds the token, and nothing else")
	f.StringVar(&b.ca, "ca", "", "PEM file with the authority of the server's certificate, for "+scheme)
	f.StringVar(&b.cert, "cert", "", "PEM file with a client certificate")
	f.StringVar(&b.key, "key", "", "PEM file with the key of --cert")
}

// read reads the files. The token is PICKET_TOKEN's where no file is given; tls
// is nil where nothing is said of it.
func (b *badge) read(op string) (token string, conf *tls.Config, err error) {
	token = os.Getenv("PICKET_TOKEN")
	if b.tokenFile != "" {
		text, err := os.ReadFile(b.tokenFile)
		if err != nil {
			return "", nil, usagef("%s: token: %w", op, err)
		}
		token = strings.TrimSpace(string(text))
	}
	if b.ca == "" && b.cert == "" && b.key == "" {
		return token, nil, nil
	}
	conf = &tls.Config{MinVersion: tls.VersionTLS12}
	if b.ca != "" {
		pem, err := os.ReadFile(b.ca)
		if err != nil {
			return "", nil, usagef("%s: ca: %w", op, err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return "", nil, usagef("%s: ca %s: no certificate in it", op, b.ca)
		}
	}
	if b.cert != "" || b.key != "" {
		pair, err := tls.LoadX509KeyPair(b.cert, b.key)
		if err != nil {
			return "", nil, usagef("%s: certificate: %w", op, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return token, conf, nil
}

// target is the flags that say which cluster a command is about: one in a spool
// of this machine, or one elsewhere by its control door.
type target struct {
	spool, url string
	badge      badge
}

const targetHelp = `

The cluster is the one of --spool on this machine, where only the owner of the
folder may ask; or one elsewhere, by its control door: --url, and a token from
--token-file or the variable PICKET_TOKEN, or a certificate
(docs/howto/operate-from-elsewhere.md).`

func (t *target) add(cmd *cobra.Command) {
	addSpool(cmd, &t.spool)
	cmd.Flags().StringVar(&t.url, "url", "", "control door of a cluster elsewhere, as https://host:port")
	t.badge.add(cmd, "https://")
}

// remote reports whether it is elsewhere.
func (t *target) remote() bool { return t.url != "" }

// client asks there.
func (t *target) client(op string) (*control.Client, error) {
	token, conf, err := t.badge.read(op)
	if err != nil {
		return nil, err
	}
	c, err := control.NewClient(control.Target{URL: t.url, Token: token, TLS: conf})
	if err != nil {
		return nil, usagef("%s: %w", op, err)
	}
	return c, nil
}

// place is where a command asks: here or elsewhere, with the same operations.
type place interface {
	Status(ctx context.Context) (*status.Status, error)
	State(ctx context.Context) (*supervisor.State, error)
	Restart(ctx context.Context, node string) error
	Stop(ctx context.Context, now bool) error
}

func (t *target) place(op string) (place, error) {
	if t.remote() {
		c, err := t.client(op)
		return c, err
	}
	return &here{spool: t.spool}, nil
}

// here is a cluster on this machine.
type here struct {
	spool string
	last  *status.Status
}

// Status shows the CPU since the last look.
func (h *here) Status(context.Context) (*status.Status, error) {
	s, err := status.Collect(h.spool, h.last)
	if err == nil {
		h.last = s
	}
	return s, err
}

func (h *here) State(ctx context.Context) (*supervisor.State, error) {
	r, err := supervisor.Ask(ctx, h.spool, supervisor.Request{Op: "status"})
	return r.State, err
}

func (h *here) Restart(ctx context.Context, node string) error {
	_, err := supervisor.Ask(ctx, h.spool, supervisor.Request{Op: "restart", Node: node})
	return err
}

func (h *here) Stop(ctx context.Context, now bool) error {
	op := "stop"
	if now {
		op = "kill"
	}
	_, err := supervisor.Ask(ctx, h.spool, supervisor.Request{Op: op})
	return err
}

// refused says that a door has answered, with no.
func refused(err error) bool {
	var r *control.RefusedError
	return errors.As(err, &r)
}

// explain says what to do about an operation that failed.
func (t *target) explain(op string, err error) error {
	if !t.remote() {
		return noSupervisor(op, t.spool, err)
	}
	var refused *control.RefusedError
	if errors.As(err, &refused) {
		switch refused.Status {
		case http.StatusUnauthorized:
			return fmt.Errorf("%s: %s: %w; give a token with --token-file or PICKET_TOKEN, or a certificate with --cert and --key", op, t.url, err)
		default:
			return fmt.Errorf("%s: %s: %w", op, t.url, err)
		}
	}
	return fmt.Errorf("%s: %w", op, err)
}
