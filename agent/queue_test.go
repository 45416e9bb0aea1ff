package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMatcherBehindTheQueue: what is accepted goes to the matcher by nft's own queue
// statement where the kernel has it, else by the xtables target, and rules alert
// and drop there.
func TestMatcherBehindTheQueue(t *testing.T) {
	r := newRouter(t)
	statement := "queue to 4100-4101"
	r.Exec("inet", "nft", "add table inet probe; add chain inet probe c")
	if out, err := r.TryExec("inet", "nft", "add rule inet probe c queue num 7"); err != nil {
		t.Logf("the kernel has no queue statement: %v %s", err, out)
		statement = "queue num 4100-4101" // as nft shows the target
	}
	rules, events := filepath.Join(r.dir, "local.rules"), filepath.Join(r.dir, "eve.json")
	r.write(rules, `alert http any any -> any any (msg:"odd page"; flow:established,to_server; http.uri; content:"/bytes/77"; sid:1; rev:1;)
drop http any any -> any any (msg:"forbidden page"; flow:established,to_server; http.uri; content:"/forbidden"; sid:2; rev:1;)
`)
	section := filepath.Join(r.dir, "ids.json")
	r.write(section, fmt.Sprintf(`{"enabled":true,"mode":"prevent","fail_open":false,"sources":[{"name":"local","file":%q,"enabled":true}]}`, rules))
	settings, err := os.ReadFile(r.settings)
	if err != nil {
		t.Fatal(err)
	}
	r.write(r.settings, string(settings)+fmt.Sprintf("ids: {eve: %s, queues: 2}\n", events))
	r.rules()
	r.start("--policy", r.policy, "--ids", section)

	if out := r.Exec("rtr", "nft", "list", "chain", "inet", "ngfw", "inspect"); !strings.Contains(out, statement) {
		t.Errorf("the hand-over is not by %s:\n%s", statement, out)
	}
	r.passes("lan1", curl("http://203.0.113.1/bytes/77")...)
	r.passes("lan1", curl("http://[2001:db8:ff::1]/bytes/77")...)
	r.passes("lan1", curl(web4+"bytes/100000")...)
	r.blocked("lan1", curl(web4+"forbidden")...)
	r.passes("lan1", curl(web4)...) // others go on
	r.eventually(func() error {
		text, err := os.ReadFile(events)
		if err != nil {
			return err
		}
		alerted, blocked := 0, 0
		for line := range strings.Lines(string(text)) {
			switch {
			case !strings.Contains(line, `"event_type":"alert"`):
			case strings.Contains(line, `"signature_id":1,`) && strings.Contains(line, `"action":"allowed"`):
				alerted++
			case strings.Contains(line, `"signature_id":2,`) && strings.Contains(line, `"action":"blocked"`):
				blocked++
			}
		}
		if alerted != 2 || blocked == 0 {
			return fmt.Errorf("%d alerts, want 2, and %d blocked requests in:\n%s", alerted, blocked, text)
		}
		return nil
	})
	for _, q := range r.mustStatus().Inspection.Queues {
		if !q.Bound || q.QueueDropped+q.SocketDropped != 0 {
			t.Errorf("%+v", q)
		}
	}
	// Without its matcher, a router that does not fail open lets nothing by.
	r.kill()
	r.blocked("lan1", curl(web4)...)
	if t.Failed() {
		t.Log(r.Exec("rtr", "nft", "list", "table", "inet", "ngfw"))
	}
}
