package nfqueue

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// zipped is n zeros after a word, packed some times over.
func zipped(t *testing.T, n int64, times int) []byte {
	t.Helper()
	data := io.MultiReader(strings.NewReader("detonator"), io.LimitReader(zeros{}, n))
	for range times {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := io.Copy(z, data); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		data = &b
	}
	b, err := io.ReadAll(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// alarm counts alerts by rule, in the queue's goroutine.
type alarm map[uint32]int

func (a alarm) Alert(x *ids.Alert)                                      { a[x.Match.Rule.SID]++ }
func (alarm) Drop(*ids.Drop)                                            {}
func (alarm) Tagged(*packet.Packet, *ids.Flow, app.Direction)           {}
func (alarm) Transaction(*ids.Flow, app.Transaction)                    {}
func (alarm) File(*ids.Flow, app.Transaction, app.Direction, *app.File) {}
func (alarm) Flow(*ids.Flow, string)                                    {}
func (alarm) Anomaly(*ids.Anomaly)                                      {}

// TestCompressionBomb: bodies that are a thousand and a million times what was sent are looked
// at as far as bodies are, cost the matcher little memory and the queue no packet, and who asks for
// something else meanwhile gets it.
func TestCompressionBomb(t *testing.T) {
	l := labtest.New(t, labtest.Forward(), labtest.Servers())
	bombs := map[string][]byte{"once": zipped(t, 64<<20, 1), "twice": zipped(t, 64<<20, 2)}
	mux := http.NewServeMux()
	for name, body := range bombs {
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Encoding"] = []string{strings.TrimSuffix(strings.Repeat("gzip, ", map[string]int{"once": 1, "twice": 2}[name]), ", ")}
			w.Write(body) //nolint:errcheck // the client says what it got
		})
	}
	var listener net.Listener
	l.In(lab.INET, func() {
		var err error
		if listener, err = net.Listen("tcp", net.JoinHostPort(lab.IP4(lab.INET).String(), "0")); err != nil {
			t.Error(err)
		}
	})
	if listener == nil {
		t.FailNow()
	}
	server := &http.Server{Handler: mux}
	go server.Serve(listener) //nolint:errcheck // it ends with the test
	t.Cleanup(func() { server.Close() })

	loaded := rule.Load([]rule.File{{Name: "test", Text: `alert http any any -> any any (flow:to_client; file.data; content:"detonator"; sid:1;)
alert http any any -> any any (app-layer-event:http.compression_bomb; sid:2;)`}}, rule.DefaultConfig())
	set, refused := detect.Compile(loaded.Rules, detect.DefaultConfig())
	if len(refused)+len(loaded.Refused) > 0 {
		t.Fatal(refused, loaded.Refused)
	}
	cfg := ids.DefaultConfig()
	cfg.Inline, cfg.Stream.Inline, cfg.Packet.Checksums = true, true, false
	cfg.Limits.ResponseBody = 4 << 20 // more than makes a bomb
	told := alarm{}
	engine := ids.New(cfg, ids.Deps{Log: told, Panicked: func(what string) { t.Error(what) }})
	engine.Use(set)
	w := engine.Worker()
	var longest time.Duration
	var most, packets uint64
	forwardTo(t, l, 9, false)
	q := New(DefaultConfig(9), slog.New(slog.DiscardHandler))
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	stop := run(t, l, q, &inspector{judge: func(p *Packet) Verdict {
		began := time.Now()
		v := w.Packet(packet.LinkRaw, p.Data, p.Length, began.UnixNano())
		longest = max(longest, time.Since(began))
		if packets++; packets%16 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
		}
		return Verdict{Drop: v.Drop, Mark: p.Mark}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	others := make(chan error, 1)
	go func() {
		n := 0
		for ctx.Err() == nil {
			if err := fetch(l, 100_000); err != nil {
				others <- err
				return
			}
			n++
		}
		if n == 0 {
			others <- fmt.Errorf("nobody else got anything")
			return
		}
		others <- nil
	}()
	for name, body := range bombs {
		out, err := l.TryExec(lab.LAN1, "curl", "-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{size_download}", "http://"+listener.Addr().String()+"/"+name)
		if err != nil || strings.TrimSpace(out) != fmt.Sprint(len(body)) {
			t.Errorf("%s: %q, %v, want %d bytes", name, out, err, len(body))
		}
	}
	cancel()
	if err := <-others; err != nil {
		t.Errorf("beside the bombs: %v", err)
	}
	stop()
	var stats Stats
	l.In(lab.RTR, func() { stats = q.Stats() })
	if stats.QueueDropped+stats.SocketDropped+stats.Panics > 0 {
		t.Errorf("packets are lost: %+v", stats)
	}
	if told[1] != 2 || told[2] != 1 {
		t.Errorf("alerts by rule: %v", told)
	}
	if grown := int64(most) - int64(before.HeapInuse); grown > 128<<20 {
		t.Errorf("the heap has grown by %d MB", grown>>20)
	}
	t.Logf("%d packets, the longest took %v, the heap grew by %d MB, alerts %v", packets, longest, (int64(most)-int64(before.HeapInuse))>>20, told)
}
