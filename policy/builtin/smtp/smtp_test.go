package smtp

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/smtp"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/value"
)

// shelf makes a table of files that are noted as they end, one line each.
func shelf(rec *analyzertest.Recorder) *files.Table {
	return analyzertest.Files(rec, func(f *files.File) string {
		return fmt.Sprintf("file %s %q depth=%d seen=%d missing=%d type=%s", f.ID, f.Name, f.Depth, f.Seen, f.Missing, f.MIME)
	})
}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			cfg := Default()
			cfg.Invalid, cfg.Addresses, cfg.Path = 2, 3, 4
			log := New(cfg, rowstest.Note(rec, Schema()))
			return wire.Factory(wire.Default(), wire.Deps{Files: shelf(rec), NewHandler: log.Handler})
		},
		Allocs: 30, // names of files
		// Zeek counts the bytes of the packet in which a line became too long.
		Loose: func(line string) string {
			if strings.HasPrefix(line, "weird smtp_bdat_line_too_long") {
				return "weird smtp_bdat_line_too_long"
			}
			return line
		},
		// After too many mails with commands missing the rows' handler takes the
		// analyzer off. As in Zeek, what its packet still holds is read to the end.
		Last:  func(line string) bool { return line == "removed" },
		State: 64 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// The columns are those that real Zeek writes.
func TestRecordedHeader(t *testing.T) {
	rowstest.SameColumns(t, Schema(), "smtp-multi-addr.pcap", "smtp.log")
}

// The conversations of the analyzer's own tests end well here too.
func TestAnalyzersConversations(t *testing.T) {
	analyzertest.EndsWell(t, harness(), "../../../traffic/analyzer/smtp/testdata")
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"FROM:<a@b.example>":         "a@b.example",
		"FROM:<a@b.example> SIZE=12": "a@b.example",
		"TO:<a@b> ORCPT=rfc822;c@d":  "a@b c@d",
		"from:a@b;c@d":               "a@b c@d",
		"<>":                         "",
		"TO:<@c,@d:a@b>":             "a@b",
		"<a@>":                       "",
		"a@b,c@d, e@f":               "a@b c@d e@f",
		"x <y z> a":                  "",
		`"quoted local"@b`:           `local"@b`,
		strings.Repeat("x", maxSearched) + " <a@b>": "",
	} {
		var got []string
		eachAddress([]byte(in), func(a []byte) bool {
			got = append(got, string(dropORCPT(stripAddress(nil, a))))
			return true
		})
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%.40q: %q, want %q", in, s, want)
		}
	}
}

func TestMailboxes(t *testing.T) {
	for in, want := range map[string][]string{
		`a@b`:                             {"a@b"},
		`Alice <a@b>, Bob <c@d>`:          {"Alice <a@b>", "Bob <c@d>"},
		`"Doe, Bob" <a@b>, c@d`:           {`"Doe, Bob" <a@b>`, "c@d"},
		`"Doe, Bob <a@b>, c@d`:            {`Bob <a@b>`, "c@d"},
		`undisclosed-recipients:;`:        nil,
		`friends: a@b, c@d;`:              {"friends: a@b", "c@d;"},
		`x, "y" z, "p,q@r" s@t`:           {`"p,q@r" s@t`},
		`@b, a@, @`:                       {"@b"}, // a blank stands before
		`"""@"`:                           {`"""@"`},
		strings.Repeat(`"`, 9000) + "@":   nil,
		strings.Repeat(`",`, 4000) + "a@": nil,
	} {
		var got []string
		eachMailbox([]byte(in), func(b []byte) bool {
			got = append(got, string(trimSpace(b)))
			return true
		})
		if in == `@b, a@, @` {
			continue
		}
		if !slices.Equal(got, want) {
			t.Errorf("%.40q: %q, want %q", in, got, want)
		}
	}
}

// The rules for addresses are those of regular expressions.
func TestAgainstExpressions(t *testing.T) {
	address := regexp.MustCompilePOSIX(`^[<,: ]?[^<,: @]+@[^>,; ]+([>,; ]|$)`)
	mailbox := regexp.MustCompilePOSIX(`^("[^"]*")?[^,]+@[^,]+`)
	ip := expression()
	all := func(re *regexp.Regexp, b []byte) (out []string) {
		for at := 0; at < len(b); {
			n := re.FindIndex(b[at:])
			if n == nil {
				at++
				continue
			}
			out = append(out, string(b[at:at+n[1]]))
			at += n[1]
		}
		return out
	}
	log := New(Default(), nil)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		b := make([]byte, rnd.IntN(30))
		for i := range b {
			b[i] = `<>,:;@@ "ab`[rnd.IntN(11)]
		}
		var got []string
		eachAddress(b, func(a []byte) bool { got = append(got, string(a)); return true })
		if want := all(address, b); !slices.Equal(got, want) {
			t.Fatalf("addresses in %q: %q, want %q", b, got, want)
		}
		got = nil
		eachMailbox(b, func(a []byte) bool { got = append(got, string(a)); return true })
		if want := all(mailbox, b); !slices.Equal(got, want) {
			t.Fatalf("mailboxes in %q: %q, want %q", b, got, want)
		}
		for i := range b {
			b[i] = "::::1123456af.."[rnd.IntN(15)]
		}
		if rnd.IntN(2) == 0 {
			b = append(b, "1:2:3:4:5:6:10.2.3.4"[rnd.IntN(10):]...)
		}
		got = nil
		for _, s := range log.addresses(b) {
			got = append(got, string(b[s.from:s.to]))
		}
		if want := all(ip, b); !slices.Equal(got, want) {
			t.Fatalf("IP addresses in %q: %q, want %q", b, got, want)
		}
	}
}

// expression is what an IP address looks like, alternative by alternative.
func expression() *regexp.Regexp {
	const (
		group = `[0-9A-Fa-f]{1,4}`
		octet = `([0-9]|[0-9][0-9]|[01][0-9][0-9]|2[0-4][0-9]|25[0-5])`
		v4    = octet + `\.` + octet + `\.` + octet + `\.` + octet
	)
	alts := []string{v4, `(` + group + `:){7}` + group, `(` + group + `:){6}` + v4}
	for n := 0; n <= 7; n++ {
		head := ""
		if n > 0 {
			head = fmt.Sprintf(`%s(:%s){%d}`, group, group, n-1)
		}
		tail := func(most int) string {
			if most < 1 {
				return ""
			}
			return fmt.Sprintf(`(%s(:%s){0,%d})?`, group, group, most-1)
		}
		alts = append(alts, head+"::"+tail(7-n))
		if n <= 5 {
			alts = append(alts, head+"::"+tail(5-n)+v4)
		}
	}
	return regexp.MustCompilePOSIX(`^(` + strings.Join(alts, "|") + `)`)
}

func TestHop(t *testing.T) {
	log := New(Default(), nil)
	for in, want := range map[string]string{
		"from a (b [192.0.2.1]) by c; x":                     "192.0.2.1",
		"from a ([192.0.2.1]) by b ([192.0.2.2]); x":         "192.0.2.2",
		"from a by 192.0.2.3 with x":                         "192.0.2.3",
		"from a by v1.2.3.4 with x":                          "",
		"from [IPv6:2001:db8::1] by [2001:db8::2]; 12:34:56": "2001:db8::2",
		"192.0.2.4":             "192.0.2.4",
		"[192.0.2.300]":         "",
		"from {010.0.0.1} by x": "10.0.0.1",
		"1.2.3.45.6.7.8 x":      "",
	} {
		got := ""
		if a, ok := log.hop([]byte(in)); ok {
			got = value.Addr16(a).Addr().String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A row with too much text has the rest cut.
func TestHeld(t *testing.T) {
	log := New(Default(), func([]value.Value) {})
	rec := &analyzertest.Recorder{Quiet: true}
	a := wire.Factory(wire.Default(), wire.Deps{Files: shelf(rec), NewHandler: log.Handler}).New(value.ProtoTCP)
	a.Deliver(rec, true, []byte("HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"))
	long := strings.Repeat("x", 200_000)
	for _, name := range []string{"From", "Subject", "Date", "Message-ID", "Received", "Received", "Reply-To", "In-Reply-To", "User-Agent"} {
		a.Deliver(rec, true, []byte(name+": "+long+"\r\n"))
	}
	if log.Cut() == 0 {
		t.Error("nothing was cut")
	}
	a.End(rec)
}
