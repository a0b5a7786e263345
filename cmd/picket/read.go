package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/standard"
)

const readLong = `Read captures and write Zeek's logs, in one process, on all cores. Several captures
are read one after the other, as one. pcap and pcapng are read, also in gzip and
zstd; - is standard input. Workers share the capture by flow, so the rows of
conn.log and dns.log are the same for any number of them; with --seed the UIDs
are, too.

A NAME.log that is there already is replaced. A capture that ends in the middle of
a packet is read up to there, with a warning. The last lines say how many packets
and records there were and where each went; --report json prints that for scripts.

Exit code 4 says that a packet or a record was lost.`

const readExample = `  picket read trace.pcap
  picket read -o logs --json monday.pcap.gz tuesday.pcap.zst
  zcat trace.pcap.gz | picket read -o logs -
  picket read -W 1 --seed x --no-checksums trace.pcap`

type readFlags struct {
	cfg    node.ReadConfig
	json   bool
	report string
	memory config.Size
}

func readCommand() *cobra.Command {
	var f readFlags
	cmd := &cobra.Command{
		Use:     "read TRACE...",
		Short:   "Write the logs of captures",
		Long:    readLong,
		Example: readExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args)
		},
	}
	fl := cmd.Flags()
	fl.IntVarP(&f.cfg.Workers, "workers", "W", 0, "number of workers (default: one per core)")
	fl.StringVarP(&f.cfg.Dir, "out", "o", ".", "folder for the logs; made if it is not there")
	fl.BoolVar(&f.json, "json", false, "write JSON instead of TSV")
	fl.BoolVarP(&f.cfg.Capture.NoChecksums, "no-checksums", "C", false, "take packets with bad checksums too")
	fl.StringVar(&f.cfg.Capture.Seed, "seed", "", "key of the UIDs, for the same UIDs each time (default: by chance)")
	fl.StringVarP(&f.cfg.Capture.Filter, "filter", "f", "", "only packets that match this tcpdump expression")
	fl.DurationVar(&f.cfg.Capture.Pace, "pace", 0, "replay by the timestamps in about this time (default: as fast as it goes)")
	fl.StringArrayVar(&f.cfg.Capture.LocalNets, "local", nil, "local network, as 10.0.0.0/8; may be given again (default: private networks)")
	fl.BoolVar(&f.cfg.Capture.Stats, "stats", false, "write stats.log as well")
	fl.BoolVar(&f.cfg.Capture.CaptureLoss, "capture-loss", false, "write capture_loss.log as well")
	fl.StringSliceVar(&f.cfg.Capture.Content.Hash, "hash", nil, "hashes of every file, for files.log: md5, sha1, sha256")
	fl.StringSliceVar(&f.cfg.Capture.Content.Extract, "extract", nil, "types of files to write to disk, as text/html; * for all")
	fl.StringVar(&f.cfg.Capture.Content.Dir, "extract-dir", "extract_files", "folder for them")
	fl.BoolVar(&f.cfg.Capture.Options.Fingerprints, "tls-fingerprints", false, "columns ja3, ja3s and ja4 in ssl.log")
	fl.TextVar(&f.memory, "memory", config.Size(0), "`size` to stay below, as 512MiB: connections silent for long are given up for it, and counted")
	fl.StringVar(&f.report, "report", "", "what to print at the end: text, json or none (default: text on a terminal)")
	return cmd
}

func (f *readFlags) run(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("read: no capture given, as in: picket read trace.pcap")
	}
	if first := slices.Index(args, "-"); first >= 0 && slices.Contains(args[first+1:], "-") {
		return usagef("read: standard input (-) can be read once only")
	}
	if err := f.cfg.Capture.Check(); err != nil {
		return usagef("read: %w", err)
	}
	if !cmd.Flags().Changed("workers") {
		f.cfg.Workers = min(runtime.GOMAXPROCS(0), 256)
	}
	if f.cfg.Workers < 1 || f.cfg.Workers > 256 {
		return usagef("read: --workers %d: must be 1 to 256", f.cfg.Workers)
	}
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	switch f.report {
	case "":
		f.report = "none"
		if terminal {
			f.report = "text"
		}
	case "text", "json", "none":
	default:
		return usagef("read: --report %s: must be text, json or none", f.report)
	}
	if os.Getenv("GOGC") == "" {
		// Little lives long here: some MiB more save a tenth of the time.
		debug.SetGCPercent(200)
	}
	if f.memory != 0 {
		if least := config.Size(node.LeastMemory); f.memory < least {
			return usagef("read: --memory %s: want at least %s", f.memory, least)
		}
		debug.SetMemoryLimit(node.GoLimit(int64(f.memory)))
	}
	if err := os.MkdirAll(f.cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("read: folder for the logs: %w", err)
	}
	if err := writable(f.cfg.Dir); err != nil { // else the first batch would find out, and try for a minute
		return fmt.Errorf("read: folder for the logs: %w; give another with --out", err)
	}
	f.cfg.Capture.Files = args
	f.cfg.Format = "tsv"
	if f.json {
		f.cfg.Format = "json"
	}
	bar := &progressBar{out: cmd.ErrOrStderr(), start: time.Now()}
	if terminal {
		f.cfg.Progress = bar.show
	}
	f.cfg.Cut = func(err error) { bar.say("warning: " + err.Error()) }

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// Writing out what was read may take its time, where a disk is full.
	quiet := context.AfterFunc(ctx, func() {
		stop()
		bar.say("stopping; what was read is written first. A second Ctrl-C ends at once")
	})
	defer quiet()
	report, err := node.Read(ctx, f.cfg, nodeDeps())
	bar.done()
	if report != nil {
		if perr := printReport(cmd.OutOrStdout(), report, f.report); err == nil {
			err = perr
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case ctx.Err() != nil:
		return withCode(exitPartial, fmt.Errorf("read: interrupted; the logs hold what was read so far"))
	case !report.Complete():
		return silent(exitPartial)
	}
	return nil
}

// nodeDeps is what the machine and the lists of drivers give to a node.
func nodeDeps() node.Deps {
	return node.Deps{
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Now: time.Now, Rand: rand.Reader,
		Protocols: standard.Protocols(), Formats: standard.Formats(), Codecs: standard.Codecs(), Connect: connect, Doors: openDoors,
	}
}

// printReport shows the settled books.
func printReport(out io.Writer, r *ledger.Report, form string) error {
	switch form {
	case "json":
		return writeJSON(out, r)
	case "text":
		return r.Text(out)
	}
	return nil
}

// progressBar is one line on a terminal. It may be used from any goroutine.
type progressBar struct {
	out   io.Writer
	start time.Time

	mu    sync.Mutex
	shown bool
}

const barWidth = 30

func (b *progressBar) show(read, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown = true
	rate := float64(read) / max(time.Since(b.start).Seconds(), 0.001) / 1e6
	if total <= 0 {
		fmt.Fprintf(b.out, "\r\033[K%.1f MB  %.0f MB/s", float64(read)/1e6, rate)
		return
	}
	part := min(float64(read)/float64(total), 1)
	full := int(part * barWidth)
	fmt.Fprintf(b.out, "\r\033[K[%s%s] %3.0f%%  %.1f of %.1f MB  %.0f MB/s",
		strings.Repeat("#", full), strings.Repeat(".", barWidth-full), part*100, float64(read)/1e6, float64(total)/1e6, rate)
}

// say prints a line without leaving pieces of the bar behind.
func (b *progressBar) say(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
	fmt.Fprintln(b.out, "picket: "+line)
}

func (b *progressBar) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
}

func (b *progressBar) clear() {
	if b.shown {
		fmt.Fprint(b.out, "\r\033[K")
		b.shown = false
	}
}
