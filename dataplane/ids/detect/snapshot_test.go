package detect

import (
	"encoding/json"
	"testing"
)

// What is remembered of hosts and rules is the same after a restart, less what has expired.
func TestSnapshot(t *testing.T) {
	rules := []string{
		`(content:"set"; xbits:set,seen,track ip_src,expire 100; tag:host,9,packets,src; sid:1;)`,
		`(content:"get"; xbits:isset,seen,track ip_src; sid:2;)`,
		`(content:"many"; threshold:type threshold,track by_src,count 3,seconds 60; sid:3;)`,
		`(content:"short"; xbits:set,brief,track ip_src,expire 1; noalert; sid:4;)`, `(content:"is"; xbits:isset,brief,track ip_src; sid:5;)`,
	}
	before := NewState(DefaultStateConfig())
	w := compile(t, testConfig(), rules...).NewWorker(before)
	at := func(payload string, seconds int64) *Input {
		p := tcp(payload)
		p.Time += seconds * 1e9
		return &Input{Packet: p, Flow: flow(t, "")}
	}
	for _, payload := range []string{"set", "many", "many", "short"} {
		w.Inspect(at(payload, 0), nil)
	}
	text, err := json.Marshal(before.Snapshot(at("", 10).Packet.Time))
	if err != nil {
		t.Fatal(err)
	}
	var kept Snapshot
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	after := NewState(DefaultStateConfig())
	after.Restore(kept, at("", 10).Packet.Time)
	w = compile(t, testConfig(), rules...).NewWorker(after)
	if !w.Tagged(at("any", 20)) {
		t.Error("the host is no longer tagged")
	}
	for payload, want := range map[string]string{"get": "2", "many": "3", "is": ""} {
		if got := w.sids(at(payload, 20)); got != want {
			t.Errorf("%s: %q, want %q", payload, got, want)
		}
	}
	if w := compile(t, testConfig(), rules...).NewWorker(NewState(DefaultStateConfig())); w.sids(at("get", 20)) != "" {
		t.Error("the test needs no memory")
	}
}
