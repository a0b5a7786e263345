// Command zmqbench is internal/oracle/libzmq/peer.c with our sockets instead of
// libzmq's, for e2e/bench-zmq.sh: the same roles, arguments and variables, the
// same messages. It is no part of the product.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "zmqbench:", err)
		os.Exit(1)
	}
}

func curve(server bool) (*zmtp.Curve, error) {
	if os.Getenv("SERVER_PUBLIC") == "" {
		return nil, nil
	}
	name := "CLIENT_SECRET"
	if server {
		name = "SERVER_SECRET"
	}
	secret, err := zmtp.ParseSecret(os.Getenv(name))
	if err != nil {
		return nil, err
	}
	public, err := zmtp.ParseKey(os.Getenv("SERVER_PUBLIC"))
	if err != nil {
		return nil, err
	}
	return &zmtp.Curve{Server: server, Secret: secret, ServerKey: public, Anyone: server}, nil
}

func run() error {
	if len(os.Args) != 4 {
		return fmt.Errorf("want ROLE ENDPOINT N")
	}
	role, at := os.Args[1], []string{os.Args[2]}
	n, err := strconv.Atoi(os.Args[3])
	if err != nil {
		return err
	}
	keys, err := curve(role == "pull")
	if err != nil {
		return err
	}
	cfg := zmtp.Config{Curve: keys, Full: zmtp.Block, Linger: time.Minute}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	counter := &counter{want: n, stop: stop}
	hooks := zmtp.Hooks{Receive: func(*zmtp.Peer) zmtp.Receiver { return counter }}
	ready := make(chan struct{}, 1)
	switch role {
	case "push":
		cfg.Type, cfg.Connect = zmtp.PUSH, at
		ready <- struct{}{}
	case "pull":
		cfg.Type, cfg.Bind = zmtp.PULL, at
	case "pub":
		cfg.Type, cfg.Connect = zmtp.XPUB, at
		hooks.Subscription = func(*zmtp.Peer, zmtp.Subscription) { ready <- struct{}{} }
	case "sub":
		cfg.Type, cfg.Connect = zmtp.SUB, at
	default:
		return fmt.Errorf("role %s", role)
	}
	s, err := zmtp.New(cfg, zmtp.Deps{Hooks: hooks})
	if err != nil {
		return err
	}
	if role == "sub" {
		s.Subscribe("zeek.")
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if role == "push" || role == "pub" {
		<-ready
		topic, id, codec := []byte("zeek.cluster.manager"), bytes.Repeat([]byte("i"), 40), []byte("broker-bin-v1")
		payload := bytes.Repeat([]byte("p"), 127)
		for range n {
			if err := s.Send(topic, id, codec, payload); err != nil {
				return err
			}
		}
		stop() // Run sends the rest
	}
	err = <-done
	return err
}

// counter counts messages; one peer sends them.
type counter struct {
	want, got int
	first     time.Time
	stop      func()
}

func (c *counter) Message(m zmtp.Message) {
	if len(m.Parts()) != 4 || m.Size() != 200 {
		panic("message of another shape")
	}
	if c.got++; c.got == 1 {
		c.first = time.Now()
	}
	if c.got == c.want {
		fmt.Printf("%.0f\n", float64(c.want-1)/time.Since(c.first).Seconds())
		c.stop()
	}
}

func (c *counter) Flush() {}
