// Command trafficgen sends numbered TCP, UDP and DNS flows onto an interface,
// or writes them to a capture file, and prints as JSON what it sent:
//
//	go run ./internal/trafficgen/cmd -i v0 -flows 120000 -rate 250000 -expect flows.tsv
//	go run ./internal/trafficgen/cmd -w flows.pcap -flows 1000
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/picket-nsm/picket/internal/trafficgen"
)

// report is what is printed. Sent counts what the interface took or the file
// holds; it is less than what was asked for only if the run was cut short.
type report struct {
	Packets uint64  `json:"packets"`
	Bytes   uint64  `json:"bytes"`
	TCP     uint64  `json:"tcp_flows"`
	UDP     uint64  `json:"udp_flows"`
	DNS     uint64  `json:"dns_flows"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"packets_per_second"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "trafficgen:", err)
		os.Exit(1)
	}
}

func run() error {
	var c trafficgen.Config
	var iface, file, expect, parts string
	var rate int
	flag.StringVar(&iface, "i", "", "send on this interface")
	flag.StringVar(&file, "w", "", "write a capture file")
	flag.StringVar(&expect, "expect", "", "write what the flows' conn rows say to this file")
	flag.IntVar(&rate, "rate", 100000, "packets a second; 0: as fast as it goes")
	flag.IntVar(&c.Flows, "flows", 1000, "how many flows")
	flag.IntVar(&c.First, "first", 0, "number of the first flow")
	flag.IntVar(&c.Window, "window", 64, "flows under way at the same time")
	flag.IntVar(&c.Data, "data", 512, "bytes of each direction of a TCP or UDP flow")
	flag.StringVar(&parts, "parts", "1,1,1", "parts of tcp, udp and dns flows")
	flag.Parse()
	if _, err := fmt.Sscanf(parts, "%d,%d,%d", &c.Parts[0], &c.Parts[1], &c.Parts[2]); err != nil || min(c.Parts[0], c.Parts[1], c.Parts[2]) < 0 {
		return fmt.Errorf("-parts %s: want three numbers, as 1,1,1", parts)
	}
	if (iface == "") == (file == "") {
		return fmt.Errorf("give -i INTERFACE or -w FILE")
	}
	if expect != "" {
		if err := create(expect, func(f *os.File) error { return c.WriteFlows(f) }); err != nil {
			return err
		}
	}
	g := trafficgen.New(c)
	start := time.Now()
	var r report
	var failed error
	if file != "" {
		if rate <= 0 {
			rate = 1e6
		}
		failed = create(file, func(f *os.File) error { return trafficgen.WriteFile(f, g.Next, 1700000000, rate) })
		r.Packets, r.Bytes = g.Sent().Packets, g.Sent().Bytes
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		s, err := trafficgen.NewSender(iface)
		if err != nil {
			return err
		}
		defer s.Close()
		failed = s.Send(ctx, g.Next, rate)
		r.Packets, r.Bytes = s.Sent()
	}
	r.Seconds = time.Since(start).Seconds()
	r.Rate = float64(r.Packets) / r.Seconds
	sent := g.Sent()
	r.TCP, r.UDP, r.DNS = sent.Flows[trafficgen.TCP], sent.Flows[trafficgen.UDP], sent.Flows[trafficgen.DNS]
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	return failed
}

// create writes a file and reports all that goes wrong until it is closed.
func create(path string, write func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Close()
}
