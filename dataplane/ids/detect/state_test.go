package detect

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// told lists which of n packets, sent a second apart, a rule is told of: "1" or ".".
func toldOf(t *testing.T, w *Worker, n int, change func(i int, p *packet.Packet)) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		p := tcp("x")
		p.Time += int64(i) * 1e9
		if change != nil {
			change(i, p)
		}
		if w.sids(&Input{Packet: p, Flow: flow(t, "")}) != "" {
			b.WriteByte('1')
		} else {
			b.WriteByte('.')
		}
	}
	return b.String()
}

func TestThresholds(t *testing.T) {
	elsewhere := func(i int, p *packet.Packet) {
		if i%2 == 1 {
			p.Src = netip.MustParseAddr("10.0.0.1")
		}
	}
	for _, c := range []struct {
		options string
		change  func(int, *packet.Packet)
		want    string
	}{
		{`threshold:type limit, track by_src, count 2, seconds 4;`, nil, "11...11..."},
		{`threshold:type limit, track by_src, count 1, seconds 100;`, elsewhere, "11........"},
		{`threshold:type limit, track by_rule, count 1, seconds 100;`, elsewhere, "1........."},
		{`threshold:type limit, track by_dst, count 1, seconds 100;`, elsewhere, "1........."},
		{`threshold:type limit, track by_both, count 1, seconds 100;`, elsewhere, "11........"},
		{`threshold:type threshold, track by_src, count 3, seconds 100;`, nil, "..1..1..1."},
		{`threshold:type both, track by_src, count 3, seconds 100;`, nil, "..1......."},
		{`detection_filter:track by_src, count 3, seconds 100;`, nil, "...1111111"},
		{`detection_filter:track by_src, count 1, seconds 100, unique_on dst_port;`, func(i int, p *packet.Packet) { p.DstPort = uint16(80 + i/3*1000) }, "...1111111"},
	} {
		w := worker(t, `alert tcp any any -> any any (dsize:1; `+c.options+`)`)
		if got := toldOf(t, w, 10, c.change); got != c.want {
			t.Errorf("%s: %s, want %s", c.options, got, c.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	w := worker(t, `alert tcp any any -> any any (dsize:1; threshold:type backoff, track by_flow, count 1, multiplier 2;)`)
	f := flow(t, "")
	got := ""
	for range 10 {
		if w.sids(&Input{Packet: tcp("x"), Flow: f}) != "" {
			got += "1"
		} else {
			got += "."
		}
	}
	if got != "11.1...1.." {
		t.Errorf("backoff: %s", got)
	}
}

func TestThresholdConfig(t *testing.T) {
	for _, c := range []struct{ config, rule, want string }{
		{"suppress gen_id 1, sig_id 1", `alert`, "......"},
		{"suppress gen_id 1, sig_id 2", `alert`, "111111"},
		{"suppress gen_id 1, sig_id 1, track by_src, ip 192.168.0.0/16", `alert`, "......"},
		{"suppress gen_id 1, sig_id 1, track by_dst, ip 192.168.0.0/16", `alert`, "111111"},
		{"suppress gen_id 1, sig_id 1, track by_either, ip 1.2.3.4", `alert`, "......"},
		{"threshold gen_id 1, sig_id 1, type limit, track by_src, count 1, seconds 60", `alert`, "1....."},
		{"threshold gen_id 1, sig_id 0, type limit, track by_src, count 1, seconds 60", `alert`, "1....."},
		{"rate_filter gen_id 1, sig_id 1, track by_src, count 2, seconds 60, new_action pass, timeout 100", `alert`, "11...."},
	} {
		entries, bad := rule.ParseThresholds(rule.File{Text: c.config}, rule.DefaultVariables())
		if len(bad) > 0 {
			t.Fatal(bad[0])
		}
		cfg := testConfig()
		cfg.Thresholds = entries
		w := compile(t, cfg, c.rule+` tcp any any -> any any (dsize:1; sid:1;)`).NewWorker(NewState(DefaultStateConfig()))
		if got := toldOf(t, w, 6, nil); got != c.want {
			t.Errorf("%s: %s, want %s", c.config, got, c.want)
		}
	}
	// What is suppressed is still blocked.
	entries, _ := rule.ParseThresholds(rule.File{Text: "suppress gen_id 1, sig_id 1"}, rule.DefaultVariables())
	cfg := testConfig()
	cfg.Thresholds = entries
	w := compile(t, cfg, `drop tcp any any -> any any (dsize:1; sid:1;)`).NewWorker(NewState(DefaultStateConfig()))
	if m := w.Inspect(&Input{Packet: tcp("x"), Flow: flow(t, "")}, nil); len(m) != 1 || m[0].Tell || m[0].Action != rule.ActionDrop {
		t.Errorf("suppressed drop: %+v", m)
	}
}

func TestFlowState(t *testing.T) {
	w := worker(t,
		`(content:"a"; flowbits:set,x; flowbits:noalert; sid:1;)`,
		`(content:"b"; flowbits:isset,x; sid:2;)`,
		`(content:"b"; flowbits:isnotset,x; sid:3;)`,
		`(content:"c"; flowbits:unset,x; sid:4;)`,
		`(content:"d"; flowbits:toggle,y; sid:5;)`,
		`(content:"e"; flowbits:isset,x|y; sid:6;)`,
		`(content:"i"; flowint:n,+,1; noalert; sid:7;)`,
		`(content:"j"; flowint:n,>,2; sid:8;)`,
		`(content:"k"; flowint:n,isset; sid:9;)`,
		`(content:"ab"; flowbits:isset,x; sid:10;)`,
		`(pcre:"/q=(\w+)/, flow:who"; sid:11;)`,
	)
	f := flow(t, "")
	for i, step := range []struct{ payload, want string }{
		{"b", "3"}, {"a", ""}, {"b", "2"}, {"c", "4"}, {"b", "3"}, {"e", ""}, {"d", "5"}, {"e", "6"}, {"d", "5"}, {"e", ""},
		{"k", ""}, {"i", ""}, {"k", "9"}, {"i", ""}, {"j", ""}, {"i", ""}, {"j", "8"}, {"ab", "10 2"}, {"q=bob", "11 2"},
	} {
		if got := w.sids(&Input{Packet: tcp(step.payload), Flow: f}); got != step.want {
			t.Errorf("step %d, %q: %q, want %q", i, step.payload, got, step.want)
		}
	}
	if !f.HasBit("x") || f.HasBit("y") {
		t.Error("bits:", f.Bits(nil))
	}
	f.Captured(func(name string, value []byte) {
		if name != "who" || string(value) != "bob" {
			t.Errorf("captured %s=%q", name, value)
		}
	})
}

func TestXBits(t *testing.T) {
	w := worker(t,
		`(content:"a"; xbits:set,x,track ip_src,expire 10; sid:1;)`,
		`(content:"b"; xbits:isset,x,track ip_src; sid:2;)`,
		`(content:"b"; xbits:isset,x,track ip_dst; sid:3;)`,
		`(content:"c"; xbits:set,p,track ip_pair,expire 10; sid:4;)`,
		`(content:"d"; xbits:isset,p,track ip_pair; sid:5;)`,
		`(content:"h"; hostbits:set,hb,dst; sid:6;)`,
		`(content:"i"; hostbits:isset,hb,dst; sid:7;)`,
	)
	send := func(payload string, seconds int64, back bool) string {
		p := tcp(payload)
		p.Time += seconds * 1e9
		if back {
			p.Src, p.Dst = p.Dst, p.Src
		}
		return w.sids(&Input{Packet: p, Flow: flow(t, "")})
	}
	for i, s := range []struct {
		payload string
		seconds int64
		back    bool
		want    string
	}{
		{"b", 0, false, ""}, {"a", 0, false, "1"}, {"b", 1, false, "2"}, {"b", 1, true, "3"}, {"b", 11, false, ""},
		{"c", 0, false, "4"}, {"d", 1, true, "5"}, {"d", 12, true, ""}, {"h", 0, false, "6"}, {"i", 1, false, "7"}, {"i", 1, true, ""},
	} {
		if got := send(s.payload, s.seconds, s.back); got != s.want {
			t.Errorf("step %d, %q: %q, want %q", i, s.payload, got, s.want)
		}
	}
}

// A state of little room forgets, and counts what it forgot.
func TestStateIsBounded(t *testing.T) {
	s := NewState(StateConfig{Bits: 64, Thresholds: 64, Tags: 16})
	w := compile(t, testConfig(), `(dsize:1; xbits:set,x,track ip_src,expire 100; threshold:type limit,track by_src,count 1,seconds 100;)`).NewWorker(s)
	for i := range 5000 {
		p := tcp("x")
		p.Src = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		w.Inspect(&Input{Packet: p, Flow: flow(t, "")}, nil)
	}
	bits, thresholds, _ := s.Sizes()
	if bits > 64 || thresholds > 64 {
		t.Errorf("%d bits and %d thresholds are remembered", bits, thresholds)
	}
	if s.Counters.Evicted.Load() < 9000 {
		t.Errorf("%d evictions are counted", s.Counters.Evicted.Load())
	}
}

func TestDatasets(t *testing.T) {
	testFiles["hosts.lst"] = "ZXZpbC5jb20=\nYmFkLmNvbQ==\n"
	testFiles["rep.lst"] = "ZXZpbC5jb20=,50\n"
	testFiles["ips.json"] = `{"all":[{"addr":{"ip":"192.168.1.5"},"why":"test"}]}`
	s := NewState(DefaultStateConfig())
	w := compile(t, testConfig(),
		`alert http any any -> any any (http.host; dataset:isset,hosts,type string,load hosts.lst; sid:1;)`,
		`alert http any any -> any any (http.host; dataset:isnotset,hosts,type string; content:"o"; sid:2;)`,
		`alert http any any -> any any (http.user_agent; dataset:set,seen,type string,save seen.lst,memcap 1000; sid:3;)`,
		`alert http any any -> any any (http.host; datarep:rep,>,40,type string,load rep.lst; sid:4;)`,
		`alert http any any -> any any (http.host; to_md5; dataset:set,sums,type md5; sid:5;)`,
		`alert http any any -> any any (ip.src; dataset:isset,ips,type ip,load ips.json,format json,value_key addr.ip,array_key all,context_key who; sid:6;)`,
	).NewWorker(s)
	id := uint64(0)
	send := func(host, agent string) string {
		tx := (&fakeTx{id: id, complete: [2]bool{true, true}}).set(app.ToServer, "http.host", host).set(app.ToServer, "http.user_agent", agent)
		id++
		return w.sids(&Input{Packet: tcp(""), Flow: flow(t, "http1"), Transactions: []app.Transaction{tx}})
	}
	id = 0
	for i, c := range []struct{ host, agent, want string }{
		{"evil.com", "one", "1 3 4 5 6"}, {"evil.com", "one", "1 4 6"}, {"bad.com", "two", "1 3 5 6"}, {"good.com", "two", "2 5 6"},
	} {
		id = 0
		if got := send(c.host, c.agent); got != c.want {
			t.Errorf("step %d: %s, want %s", i, got, c.want)
		}
	}
	tx := (&fakeTx{complete: [2]bool{true, true}}).set(app.ToServer, "http.host", "evil.com")
	for _, m := range w.Inspect(&Input{Packet: tcp(""), Flow: flow(t, "http1"), Transactions: []app.Transaction{tx}}, nil) {
		if known := m.Rule.SID == 6; known != (len(m.Context) == 1 && m.Context[0].Key == "who" && strings.Contains(string(m.Context[0].Data), "test")) {
			t.Errorf("sid %d says %v", m.Rule.SID, m.Context)
		}
	}
	for i := range 100 { // more than fits
		id = 0
		send("good.com", fmt.Sprintf("agent number %d", i))
	}
	if s.Counters.Refused.Load() == 0 {
		t.Error("a full dataset takes more")
	}
	saved := map[string]string{}
	if err := s.Save(func(name string, text []byte) error { saved[name] = string(text); return nil }); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(saved["seen.lst"], "b25l\n") {
		t.Errorf("saved: %q", saved)
	}
}

func TestReputation(t *testing.T) {
	s := NewState(DefaultStateConfig())
	if err := s.LoadReputation("1,BadHosts,Known bad\n2,CnC,Command\n", "# list\n192.168.1.5,1,100\n1.2.0.0/16,2,50\n"); err != nil {
		t.Fatal(err)
	}
	w := compile(t, testConfig(),
		`(iprep:src,BadHosts,>,90; sid:1;)`, `(iprep:dst,BadHosts,isset; sid:2;)`, `(iprep:dst,CnC,=,50; sid:3;)`, `(iprep:any,CnC,isset; sid:4;)`, `(iprep:both,CnC,isset; sid:5;)`,
	).NewWorker(s)
	if got := w.sids(&Input{Packet: tcp("x")}); got != "1 3 4" {
		t.Errorf("reputation: %s", got)
	}
	if err := s.LoadReputation("", "nonsense"); err == nil {
		t.Error("nonsense is a reputation")
	}
}

func TestActions(t *testing.T) {
	for _, c := range []struct {
		rules []string
		want  string // actions in order, told ones in capitals
	}{
		{[]string{`alert tcp any any -> any any (dsize:1;)`, `pass tcp any any -> any any (dsize:1;)`}, "pass"},
		{[]string{`alert tcp any any -> any any (dsize:1;)`, `drop tcp any any -> any any (dsize:1;)`, `reject tcp any any -> any any (dsize:1;)`}, "DROP REJECT ALERT"},
		{[]string{`alert tcp any any -> any any (dsize:1; priority:3;)`, `alert tcp any any -> any any (dsize:1; priority:1; noalert;)`, `drop tcp any any -> any any (dsize:2;)`}, "ALERT"},
		{[]string{`pass tcp any any -> any any (dsize:1; alert;)`}, "PASS"},
	} {
		w := worker(t, c.rules...)
		var got []string
		for _, m := range w.Inspect(&Input{Packet: tcp("x"), Flow: flow(t, "")}, nil) {
			name := m.Action.String()
			if m.Tell {
				name = strings.ToUpper(name)
			}
			got = append(got, name)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q: %s, want %s", c.rules, s, c.want)
		}
	}
	// A pass rule about the flow lets all that follows through.
	w := worker(t, `pass tcp any any -> any any (msg:"all";)`, `alert tcp any any -> any any (content:"x";)`)
	f := flow(t, "")
	w.Inspect(&Input{Packet: tcp("x"), Flow: f}, nil)
	if !f.Passed() {
		t.Error("the flow is not passed")
	}
	if got := w.sids(&Input{Packet: tcp("x"), Flow: f}); got != "" {
		t.Errorf("after pass: %s", got)
	}
}

func TestAlertMax(t *testing.T) {
	var rules []string
	for range 30 {
		rules = append(rules, `(dsize:1;)`)
	}
	w := worker(t, rules...)
	if n := len(strings.Fields(w.sids(&Input{Packet: tcp("x"), Flow: flow(t, "")}))); n != 15 {
		t.Errorf("%d alerts of one packet", n)
	}
}

// Addresses alone are asked once a flow and direction.
func TestOnce(t *testing.T) {
	w := worker(t, `alert ip 192.168.0.0/16 any -> any any (msg:"once";)`, `alert tcp any any -> any any (app-layer-protocol:http;)`)
	f := flow(t, "")
	got := w.sids(&Input{Packet: tcp("x"), Flow: f}) + "," + w.sids(&Input{Packet: tcp("y"), Flow: f})
	p := proto(t, "http1")
	f.Protocol, f.ProtocolKnown, f.ProtocolOf = p, true, [2]rule.Protocol{p, 0}
	got += "," + w.sids(&Input{Packet: tcp("z"), Flow: f}) + "," + w.sids(&Input{Packet: tcp("z"), Flow: f})
	if got != "1,,2," {
		t.Errorf("once: %s", got)
	}
}

// Rules may be replaced in mid-flow: bits stay, and what has been told of a transaction is not told again.
func TestReplace(t *testing.T) {
	rules := []string{`(content:"a"; flowbits:set,rep; sid:1;)`, `alert http any any -> any any (http.uri; content:"/x"; sid:2;)`, `(content:"b"; flowbits:isset,rep; sid:3;)`}
	s := NewState(DefaultStateConfig())
	w := compile(t, testConfig(), rules...).NewWorker(s)
	f := flow(t, "http1")
	tx := (&fakeTx{}).set(app.ToServer, "http.uri", "/x")
	if got := w.sids(&Input{Packet: tcp("a"), Flow: f, Transactions: []app.Transaction{tx}}); got != "1 2" {
		t.Fatal(got)
	}
	w = compile(t, testConfig(), append([]string{`(content:"zzz"; sid:9;)`}, rules...)...).NewWorker(s)
	if got := w.sids(&Input{Packet: tcp("b"), Flow: f, Transactions: []app.Transaction{tx}}); got != "3" {
		t.Errorf("after replacement: %s", got)
	}
}
