package settings

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/ids/stream"
)

const file = `%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: "[192.0.2.0/24]"
  port-groups: {MY_PORTS: "[80,81]"}
stream:
  midstream: true
  memcap: 64mb
  reassembly: {depth: 2 MiB, toserver-chunk-size: 100}
flow-timeouts:
  tcp: {established: 100}
host-os-policy:
  linux: [198.51.100.0/24, "2001:db8::/32"]
  windows: [0.0.0.0/0]
action-order: [alert, pass, drop, reject]
threshold-file: /etc/threshold.config
app-layer:
  protocols:
    http: {libhtp: {default-config: {response-body-limit: 200kb}}}
    tls: {encryption-handling: bypass}
outputs:
  - eve-log: {enabled: yes}
`

func TestLoad(t *testing.T) {
	s, err := Load([]byte(file), []string{"stream.reassembly.depth=50", "vars.address-groups.HOME_NET=10.0.0.0/8", "no.such=1"}, true)
	if err != nil {
		t.Fatal(err)
	}
	e := s.Engine
	if !e.Inline || !e.Stream.Inline || !e.Stream.Midstream || e.Stream.Depth != 50 || e.Stream.Chunks[0] != 100 {
		t.Errorf("%+v", e.Stream)
	}
	if s.Variables.Addresses["HOME_NET"] != "10.0.0.0/8" || s.Variables.Ports["MY_PORTS"] != "[80,81]" || s.Variables.Ports["SSH_PORTS"] != "22" {
		t.Errorf("%+v", s.Variables)
	}
	if e.Flows.Timeouts[ids.TCPFlow].Established != 100e9 || e.Flows.Timeouts[ids.TCPFlow].New != 60e9 {
		t.Errorf("%+v", e.Flows.Timeouts)
	}
	if e.Stream.Policy(netip.MustParseAddr("198.51.100.9")) != stream.Linux || e.Stream.Policy(netip.MustParseAddr("192.0.2.1")) != stream.Windows ||
		e.Stream.Policy(netip.MustParseAddr("2001:db8::1")) != stream.Linux || e.Stream.Policy(netip.MustParseAddr("2001:db9::1")) != stream.BSD {
		t.Error("hosts have the wrong policies")
	}
	if d := cmp.Diff([]rule.Action{rule.ActionAlert, rule.ActionPass, rule.ActionDrop, rule.ActionReject}, s.ActionOrder); d != "" {
		t.Error(d)
	}
	if e.Limits.ResponseBody != 200<<10 || !e.EncryptionBypass || s.ThresholdFile != "/etc/threshold.config" {
		t.Errorf("%+v %v %q", e.Limits, e.EncryptionBypass, s.ThresholdFile)
	}
	if d := cmp.Diff([]string{"outputs.0.eve-log.enabled", "no.such"}, s.Ignored); d != "" {
		t.Errorf("ignored (-want +got):\n%s", d)
	}
}

func TestWrong(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"stream.midstream=perhaps", "stream.midstream: "},
		{"stream.reassembly.depth=big", "stream.reassembly.depth: "},
		{"exception-policy=panic", "exception-policy: "},
		{"host-os-policy.linux.0=300.1.1.1", "host-os-policy.linux.0: "},
		{"app-layer.protocols.sip.detection-ports.dp=x", "app-layer.protocols.sip.detection-ports.dp: "},
		{"key", "a setting is key=value"},
	} {
		if _, err := Load(nil, []string{c.set}, false); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v", c.set, err)
		}
	}
	if _, err := Load([]byte("a: [b"), nil, false); err == nil {
		t.Error("broken YAML is taken")
	}
}

func TestProtocols(t *testing.T) {
	s, err := Load([]byte(`app-layer:
  protocols:
    http: {enabled: no, libhtp: {default-config: {max-tx: 7, meta-field-limit: 100}}}
    dns: {udp: {enabled: no, detection-ports: {dp: 53, sp: [5300]}}, tcp: {enabled: yes}}
    imap: {enabled: detection-only}
    sip: {detection-ports: {dp: "5060, 5061"}}
    msn: {enabled: yes}
    mqtt: {max-msg-length: 60}
    http2: {max-streams: 9, max-table-size: 4096}
outputs:
  - file-store: {force-hash: [md5]}
  - eve-log: {types: [{anomaly: {types: {decode: yes, applayer: no}}}]}
`), []string{"app-layer.protocols.tls.ja4-fingerprints=no", "detect.guess-applayer-tx=yes"}, false)
	if err != nil {
		t.Fatal(err)
	}
	p := func(name string) rule.Protocol {
		p, ok := rule.ParseProtocol(name)
		if !ok {
			t.Fatal(name)
		}
		return p
	}
	want := app.Choice{
		Off:      map[rule.Protocol]app.Transport{p("http1"): app.OverTCP | app.OverUDP, p("dns"): app.OverUDP},
		Unparsed: map[rule.Protocol]app.Transport{p("imap"): app.OverTCP | app.OverUDP},
		Ports: map[app.Home][]uint16{
			{Protocol: p("dns"), Over: app.OverUDP}: {53, 5300},
			{Protocol: p("sip"), Over: app.OverUDP}: {5060, 5061}, {Protocol: p("sip"), Over: app.OverTCP}: {5060, 5061},
		},
	}
	if d := cmp.Diff(want, s.Engine.Protocols); d != "" {
		t.Error(d)
	}
	l := s.Engine.Limits
	if d := cmp.Diff(map[string]int{"http1": 7, "http2": 9}, l.TransactionsOf); d != "" || l.HeaderBytes != 100 || l.MQTTMessage != 60 || l.HTTP2Table != 4096 || !l.HashFiles {
		t.Errorf("%s %+v", d, l)
	}
	if !s.NoJA4 || !s.Engine.GuessTransactions {
		t.Errorf("%+v", s)
	}
	if d := cmp.Diff(map[string]bool{"decode": true, "applayer": false}, s.Anomalies); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"app-layer.protocols.msn.enabled"}, s.Ignored); d != "" {
		t.Error(d)
	}
}

func TestExceptions(t *testing.T) {
	for _, c := range []struct {
		set    []string
		inline bool
		want   ids.Policy // midstream
		app    ids.Policy
	}{
		{nil, false, ids.Ignore, ids.Ignore},
		{nil, true, ids.DropFlow, ids.DropFlow},
		{[]string{"stream.midstream=yes"}, true, ids.Ignore, ids.DropFlow},
		{[]string{"exception-policy=ignore"}, true, ids.Ignore, ids.Ignore},
		{[]string{"stream.midstream-policy=pass-flow"}, true, ids.PassFlow, ids.DropFlow},
		{[]string{"exception-policy=drop-flow"}, false, ids.Ignore, ids.Ignore},
		{[]string{"exception-policy=bypass", "stream.midstream=yes"}, false, ids.Bypass, ids.Bypass},
	} {
		s, err := Load(nil, c.set, c.inline)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Engine.Exceptions; got.Midstream != c.want || got.AppError != c.app {
			t.Errorf("%v, inline %v: %+v", c.set, c.inline, got)
		}
	}
}

// A key of --set is taken or ignored, or wrong; nothing panics.
func FuzzLoad(f *testing.F) {
	f.Add(file, "stream.inline=yes")
	f.Fuzz(func(_ *testing.T, text, set string) { _, _ = Load([]byte(text), []string{set}, true) })
}
