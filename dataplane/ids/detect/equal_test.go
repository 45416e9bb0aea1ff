package detect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// webKinds are buffers that an HTTP transaction made by chance may have.
var webKinds = [2][]string{
	{"http.uri", "http.uri.raw", "http.method", "http.user_agent", "http.host", "http.header", "http.header_names", "http.cookie",
		"http.request_body", "http.referer", "http.content_type", "http.accept", "http.start", "http.request_line", "http.protocol", "http.connection", "http.content_len"},
	{"http.stat_code", "http.stat_msg", "http.header", "http.response_body", "file.data", "http.server", "http.location", "http.content_type", "http.cookie", "http.response_line"},
}

// chance makes traffic out of the contents of rules, so that many nearly match.
type chance struct {
	r        *rand.Rand
	contents map[string][]*rule.Rule // rules by the kinds that they look at
}

func newChance(rules []*rule.Rule, seed uint64) *chance {
	c := &chance{rand.New(rand.NewPCG(seed, 1)), map[string][]*rule.Rule{}}
	for _, r := range rules {
		for i := range r.Buffers {
			k := r.Buffers[i].Kind.Name
			c.contents[k] = append(c.contents[k], r)
		}
	}
	return c
}

// text is a buffer of a kind: what a rule wants of it, more or less.
func (c *chance) text(kind string, want *rule.Rule) []byte {
	var b []byte
	if want == nil || c.r.IntN(20) == 0 {
		if of := c.contents[kind]; len(of) > 0 {
			want = of[c.r.IntN(len(of))]
		}
	}
	if want != nil {
		for i := range want.Buffers {
			if want.Buffers[i].Kind.Name != kind {
				continue
			}
			for _, m := range want.Buffers[i].Matches {
				x, ok := m.(*rule.Content)
				if !ok || x.Is(rule.Negated) && c.r.IntN(8) > 0 {
					continue
				}
				pad := 0
				if x.Is(rule.HasOffset) && x.Offset.Value < 100 {
					pad = max(int(x.Offset.Value)-len(b), 0)
				}
				if x.Is(rule.HasDistance) && x.Distance.Value > 0 && x.Distance.Value < 100 {
					pad = int(x.Distance.Value)
				}
				if c.r.IntN(10) == 0 {
					pad++
				}
				for range pad {
					b = append(b, "aA/ 0\x00"[c.r.IntN(6)])
				}
				p := slices.Clone(x.Pattern)
				if c.r.IntN(15) == 0 {
					p[c.r.IntN(len(p))] ^= 0x20
				}
				b = append(b, p...)
			}
		}
	}
	if c.r.IntN(4) == 0 {
		b = append(b, "tail"...)
	}
	return b
}

func (c *chance) rule(kind string) *rule.Rule {
	if of := c.contents[kind]; len(of) > 0 {
		return of[c.r.IntN(len(of))]
	}
	return nil
}

func (c *chance) port(p *rule.Ports, resolver *rule.Resolver, or uint16) uint16 {
	if set, err := resolver.Ports(p); err == nil && !set.All() {
		return set.Ranges[c.r.IntN(len(set.Ranges))].From
	}
	return or
}

// step is one Input, made anew for each worker since transactions are kept.
func (c *chance) web() *fakeTx {
	tx := &fakeTx{}
	want := c.rule([]string{"http.uri", "http.header", "file.data", "http.request_body"}[c.r.IntN(4)])
	for dir, kinds := range webKinds {
		tx.buffers[dir] = map[string][]app.Buffer{}
		for _, k := range kinds {
			if d := c.text(k, want); len(d) > 0 && c.r.IntN(8) > 0 {
				tx.buffers[dir][k] = []app.Buffer{{Data: d, Whole: true}}
			}
		}
	}
	return tx
}

// Rules found by search and rules all evaluated match the same traffic.
func TestPrefilterChangesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	rules := openRules(t)
	cfg := testConfig()
	// Every seventh is enough of a mixture, and the slow reference is slow.
	var some []*rule.Rule
	for i := 0; i < len(rules); i += 7 {
		some = append(some, rules[i])
	}
	fast, _ := Compile(some, cfg)
	cfg.NoPrefilter = true
	slow, _ := Compile(some, cfg)
	workers := [2]*Worker{fast.NewWorker(NewState(DefaultStateConfig())), slow.NewWorker(NewState(DefaultStateConfig()))}
	c := newChance(some, 3)
	resolver := rule.NewResolver(rule.DefaultVariables())
	alerts := 0
	matches := func(w *Worker, in *Input) []string {
		var all []string
		for _, m := range w.Inspect(in, nil) {
			all = append(all, fmt.Sprintf("%d:%v:%v", m.Rule.SID, m.Tell, m.OnStream))
		}
		return all
	}
	for round := range 600 {
		protocol := []string{"http1", "", "dns", "tls", ""}[round%5]
		var flows [2]*Flow
		for i := range flows {
			flows[i] = flow(t, protocol)
		}
		var txs []app.Transaction
		p := tcp("")
		want := c.rule("pkt_data")
		switch protocol {
		case "http1":
			tx := c.web()
			tx.complete = [2]bool{true, true}
			txs = []app.Transaction{tx}
		case "dns":
			tx := (&fakeTx{complete: [2]bool{true, true}}).set(app.ToServer, "dns.query", string(c.text("dns.query", nil)))
			txs, p = []app.Transaction{tx}, udp("")
		case "tls":
			tx := (&fakeTx{complete: [2]bool{true, true}}).set(app.ToServer, "tls.sni", string(c.text("tls.sni", nil)))
			txs = []app.Transaction{tx.set(app.ToClient, "tls.cert_subject", string(c.text("tls.cert_subject", nil)))}
		default:
			if c.r.IntN(2) == 0 {
				p = udp("")
			}
			p.Payload = c.text("pkt_data", want)
			p.SrcPort, p.DstPort = c.port(want.Source.Ports, resolver, 40000), c.port(want.Destination.Ports, resolver, 80)
		}
		p.Time += int64(round) * 1e8
		if c.r.IntN(3) == 0 {
			p.Src, p.Dst = p.Dst, p.Src
		}
		in := &Input{Packet: p, Direction: app.Direction(c.r.IntN(2)), Transactions: txs, InStream: p.Protocol == 6}
		if in.InStream {
			in.Stream = p.Payload
		}
		var got [2][]string
		for i, w := range workers {
			in.Flow = flows[i]
			got[i] = matches(w, in)
		}
		alerts += len(got[1])
		if !slices.Equal(got[0], got[1]) {
			t.Fatalf("round %d: with prefilter %v, without %v\npayload %q", round, got[0], got[1], p.Payload)
		}
	}
	t.Logf("%d matches", alerts)
	if alerts < 50 {
		t.Errorf("only %d matches: the traffic tests nothing", alerts)
	}
}

// sampleWeb is an exchange as it is usual, for benchmarks.
func sampleWeb(id uint64, n int) *fakeTx {
	header := "Host: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120 Safari/537.36\r\nAccept: text/html,application/xhtml+xml\r\n" +
		"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\r\n"
	uri := fmt.Sprintf("/path/to/page%d/index.php?id=%d&name=value", n, n*7)
	body := strings.Repeat("<div class=\"row\"><p>The quick brown fox jumps over the lazy dog and goes home.</p></div>\n", 100)
	tx := &fakeTx{id: id, complete: [2]bool{true, true}}
	for k, v := range map[string]string{
		"http.uri": uri, "http.uri.raw": uri, "http.method": "GET", "http.user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120 Safari/537.36",
		"http.host": "www.example.com", "http.host.raw": "www.example.com", "http.header": header, "http.header.raw": header,
		"http.header_names": "\r\nHost\r\nUser-Agent\r\nAccept\r\nAccept-Language\r\nAccept-Encoding\r\nConnection\r\n\r\n", "http.accept": "text/html,application/xhtml+xml",
		"http.accept_lang": "en-US,en;q=0.5", "http.accept_enc": "gzip, deflate", "http.connection": "keep-alive", "http.protocol": "HTTP/1.1",
		"http.start": "GET " + uri + " HTTP/1.1\r\n" + header, "http.request_line": "GET " + uri + " HTTP/1.1",
	} {
		tx.set(app.ToServer, k, v)
	}
	for k, v := range map[string]string{
		"http.stat_code": "200", "http.stat_msg": "OK", "http.header": "Server: nginx\r\nContent-Type: text/html\r\nContent-Length: 9000\r\n\r\n", "http.server": "nginx",
		"http.content_type": "text/html", "http.response_line": "HTTP/1.1 200 OK", "http.response_body": body, "file.data": body, "http.protocol": "HTTP/1.1",
	} {
		tx.set(app.ToClient, k, v)
	}
	return tx
}

func benchSet(b *testing.B) *Set {
	rules := openRules(b)
	s, _ := Compile(rules[:10000], testConfig())
	return s
}

func BenchmarkInspectWeb(b *testing.B) {
	w := benchSet(b).NewWorker(NewState(DefaultStateConfig()))
	f := flow(b, "http1")
	f.addressesDone, f.protocolDone = [2]bool{true, true}, [2]bool{true, true}
	p := tcp("")
	tx := sampleWeb(0, 1)
	bytes := 0
	for dir := range tx.buffers {
		for _, x := range tx.buffers[dir] {
			bytes += len(x[0].Data)
		}
	}
	in := &Input{Packet: p, Flow: f, Transactions: []app.Transaction{tx}}
	var out []Match
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		out = w.Inspect(in, out[:0])
		tx.id++
		p.Time += 1e6
	}
}

func BenchmarkInspectStream(b *testing.B) {
	w := benchSet(b).NewWorker(NewState(DefaultStateConfig()))
	f := flow(b, "http1")
	f.addressesDone, f.protocolDone = [2]bool{true, true}, [2]bool{true, true}
	p := tcp(strings.Repeat("<div class=\"row\"><p>The quick brown fox jumps over the lazy dog.</p></div>\n", 20)[:1460])
	in := &Input{Packet: p, Flow: f, Direction: app.ToClient, InStream: true, Stream: p.Payload}
	p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, 80, 40000
	var out []Match
	b.SetBytes(1460)
	b.ReportAllocs()
	for b.Loop() {
		out = w.Inspect(in, out[:0])
		p.Time += 1e6
	}
}

func BenchmarkInspectEmpty(b *testing.B) {
	w := benchSet(b).NewWorker(NewState(DefaultStateConfig()))
	f := flow(b, "")
	f.addressesDone, f.protocolDone = [2]bool{true, true}, [2]bool{true, true}
	p := tcp("")
	p.TCP.Flags = packet.ACK
	in := &Input{Packet: p, Flow: f, InStream: true}
	var out []Match
	b.ReportAllocs()
	for b.Loop() {
		out = w.Inspect(in, out[:0])
		p.Time += 1e6
	}
}
