package zeromq

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/zeek/record"
)

// The golden bytes of docs/formats/zeromq.md.
func TestEnvelopeGolden(t *testing.T) {
	want := strings.ReplaceAll("6c6f672d7772697465 00 01 0000000000000001 0000000000000002 00000003 0001 77 0001 53 0001 70", " ", "")
	if got := hex.EncodeToString(appendEnvelope(nil, &record.Batch{Producer: "w", Start: 1, Seq: 2, Records: 3, Stream: "S", Path: "p"})); got != want {
		t.Errorf("got %s", got)
	}
}

func TestEnvelopeCut(t *testing.T) {
	b := &record.Batch{Producer: "worker-1", Start: 1 << 63, Seq: 7, Records: 1000, Stream: "Conn::LOG", Path: "conn"}
	whole := appendEnvelope(nil, b)
	for i := range whole {
		if _, err := parseEnvelope(whole[:i]); err == nil {
			t.Errorf("an envelope of %d of %d bytes was taken", i, len(whole))
		}
	}
	if _, err := parseEnvelope(append(whole, 0)); err == nil {
		t.Error("a byte too many was taken")
	}
	got, err := parseEnvelope(whole)
	if err != nil || got.Producer != b.Producer || got.Start != b.Start || got.Seq != b.Seq || got.Records != b.Records || got.Stream != b.Stream || got.Path != b.Path {
		t.Errorf("got %+v, %v", got, err)
	}
	ack := appendAck(nil, backend.Ack{Producer: "p", Logger: "l", Start: 1, Seq: 2, Err: "disk full"})
	for i := range ack {
		if _, ok := parseAck(ack[:i]); ok {
			t.Errorf("an ack of %d of %d bytes was taken", i, len(ack))
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(appendEnvelope(nil, &record.Batch{Producer: "worker-1", Seq: 1, Stream: "Conn::LOG", Path: "conn"}), appendAck(nil, backend.Ack{Err: "x"}))
	f.Add([]byte(logWrite), []byte{})
	f.Fuzz(func(t *testing.T, frame, ack []byte) {
		if b, err := parseEnvelope(frame); err == nil {
			if got := appendEnvelope(nil, b); !bytes.Equal(got, frame) && frame[len(logWrite)+18]&0x80 == 0 {
				t.Errorf("%x became %x", frame, got)
			}
		}
		if a, ok := parseAck(ack); ok {
			if got := appendAck(nil, a); !bytes.Equal(got, ack) {
				t.Errorf("%x became %x", ack, got)
			}
		}
		_, _, _ = batchOf([][]byte{frame, []byte("id"), []byte(zeekBin), ack})
	})
}

func TestConfig(t *testing.T) {
	keys := newKeys(t)
	for _, c := range []struct {
		c    Config
		want string
	}{
		{Config{}, `bus zeromq: node id "": must have 1 to 255 bytes`},
		{Config{ID: "a", ConnectXPUB: "udp://x:1"}, `bus zeromq: zmtp XPUB: endpoint "udp://x:1": only tcp:// and ipc:// are spoken`},
		{Config{ID: "a", Loggers: []Logger{{"l", "tcp://h:1"}, {"l", "tcp://h:2"}}}, "bus zeromq: logger l is there twice"},
		{Config{ID: "a", Loggers: []Logger{{"l", "tcp://h:0"}}}, `bus zeromq: logger l: zmtp PUSH: endpoint "tcp://h:0": needs a port`},
		{Config{ID: "a", Keys: Keys{ClientPublic: keys.ClientPublic}}, "bus zeromq: curve: a client needs the server's public key and both of its own"},
		{Config{ID: "a", Keys: Keys{ServerPublic: keys.ServerPublic, ClientPublic: keys.ServerPublic, ClientSecret: keys.ClientSecret}}, "bus zeromq: curve client: public and secret key do not belong together"},
		{Config{ID: "a", Keys: Keys{ServerPublic: "x", ClientPublic: keys.ClientPublic, ClientSecret: keys.ClientSecret}}, `bus zeromq: curve server: key "x": not Z85 of 32 bytes`},
		{Config{ID: "a", XPUBSndHWM: -1}, "bus zeromq: queues must hold at least one message"},
	} {
		if _, err := New(c.c, Deps{}); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.c, err, c.want)
		}
	}
}

// Zeek's variables for keys; keys from two places are refused, as there.
func TestKeysFromEnv(t *testing.T) {
	k := newKeys(t)
	env := map[string]string{
		"ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_CLIENT_PUBLICKEY": k.ClientPublic, "ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_CLIENT_SECRETKEY": k.ClientSecret,
		"ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_SERVER_PUBLICKEY": k.ServerPublic, "ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_SERVER_SECRETKEY": k.ServerSecret,
	}
	if got, err := KeysFromEnv(Keys{}, func(s string) string { return env[s] }); err != nil || got != k {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := KeysFromEnv(k, func(s string) string { return env[s] }); err == nil {
		t.Error("keys from both places were taken")
	}
	if got, err := KeysFromEnv(k, func(string) string { return "" }); err != nil || got != k {
		t.Errorf("%+v, %v", got, err)
	}
}
