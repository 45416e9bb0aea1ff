package inspect

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ngfw.sh/agent/ruleset"
	"ngfw.sh/config/ids"
	matcher "ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/ids/traffic"
)

// alerts leads connections, in each of which the client says one thing, through a worker.
func alerts(w *matcher.Worker, lines ...string) {
	for _, line := range lines {
		x := traffic.New()
		c := x.Connect(9000)
		c.Say(0, []byte(line))
		c.End()
		late := time.Now().UnixNano() - x.Now()
		for _, f := range x.Frames {
			w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At+late)
		}
		w.Finish()
	}
}

func request(host string) string { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }

// What the matcher remembers is the same after it has ended and begun again: bits of hosts,
// counts, datasets.
func TestMemoryOutlivesTheProcess(t *testing.T) {
	text := strings.Join([]string{
		`alert tcp any any -> any any (msg:"first"; content:"knock"; xbits:set,knocked,track ip_dst,expire 600; noalert; sid:1;)`,
		`alert tcp any any -> any any (msg:"second"; content:"enter"; xbits:isset,knocked,track ip_dst; sid:2;)`,
		`alert http any any -> any any (msg:"new"; http.host; dataset:set,names,type string,state names.lst; sid:3;)`,
	}, "\n")
	s := section(t, sets{"a": text})
	begin := func() *running {
		l, _, err := s.load(t.Context(), document(func(*ids.Document) {}), true)
		if err != nil || len(l.Refused) > 0 {
			t.Fatal(err, l.Refused)
		}
		s.cfg.Queues = 1
		return newRunning(s.cfg, s.deps, s.metrics, ids.Default(), l)
	}
	r := begin()
	alerts(r.workers[0].Worker, "knock", request("one"))
	r.end()
	if told := r.workers[0].Counters.Alerts; told != 1 {
		t.Fatalf("%d alerts before the restart", told)
	}
	r = begin()
	defer r.end()
	alerts(r.workers[0].Worker, "enter", request("one"), request("two"))
	if told := r.workers[0].Counters.Alerts; told != 2 {
		t.Errorf("%d alerts after the restart, want those of the bit and of the new name", told)
	}
	if entries, err := os.ReadDir(datasetDir(s.cfg.StateDir)); err != nil || len(entries) != 1 || entries[0].Name() != "names.lst" {
		t.Errorf("saved: %v, %v", entries, err)
	}
}

// A damaged memory costs itself alone.
func TestDamagedMemory(t *testing.T) {
	s := section(t, sets{"a": trojan})
	if err := os.WriteFile(memoryPath(s.cfg.StateDir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _, err := s.load(t.Context(), document(func(*ids.Document) {}), true)
	if err != nil {
		t.Fatal(err)
	}
	r := newRunning(s.cfg, s.deps, s.metrics, ids.Default(), l)
	alerts(r.workers[0].Worker, "abc")
	if r.workers[0].Counters.Alerts != 1 {
		t.Error("nothing is inspected")
	}
	r.end()
}

// Rules read what came with their set, and nothing else of the router.
func TestBeside(t *testing.T) {
	dir := t.TempDir()
	b := newBeside(dir)
	b.add(&ruleset.Set{Files: make([]rule.File, 2), Data: map[string][]byte{"hosts.lst": []byte("one")}})
	b.add(&ruleset.Set{Files: make([]rule.File, 1)})
	own := &rule.Rule{}
	b.own[own] = true
	if err := os.WriteFile(filepath.Join(dir, "ids.json"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		rule *rule.Rule
		name string
		ok   bool
	}{
		{&rule.Rule{File: 0}, "hosts.lst", true}, {&rule.Rule{File: 1}, "hosts.lst", true}, {&rule.Rule{File: 2}, "hosts.lst", false},
		{own, "hosts.lst", false}, {&rule.Rule{}, "../ids.json", false}, {&rule.Rule{}, filepath.Join(dir, "ids.json"), false}, {&rule.Rule{}, "..", false},
	} {
		if _, err := b.open(x.rule, x.name); (err == nil) != x.ok {
			t.Errorf("file %d, %s: %v", x.rule.File, x.name, err)
		}
	}
}

// What a set says of addresses is what rules of iprep go by.
func TestReputation(t *testing.T) {
	s := section(t, sets{"a": `alert ip any any -> any any (iprep:src,Bad,>,50; sid:1;)`})
	l, _, err := s.load(t.Context(), document(func(*ids.Document) {}), true)
	if err != nil {
		t.Fatal(err)
	}
	l.take(&ruleset.Set{ReputationCategories: rule.File{Text: "1,Bad,known to be\n"}, Reputation: []rule.File{{Text: netip.MustParsePrefix("192.168.0.0/16").String() + ",1,90\n"}}})
	r := newRunning(s.cfg, s.deps, s.metrics, ids.Default(), l)
	alerts(r.workers[0].Worker, "hello")
	if r.workers[0].Counters.Alerts == 0 {
		t.Error("a sender of bad reputation is not told")
	}
	r.end()
}
