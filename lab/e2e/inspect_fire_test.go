package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// TestInspectionUnderFire switches the matcher on and off under load, feeds it what is made to
// be slow to judge, and kills its process: other flows go on throughout, and nothing is left of it
// where it is off.
func TestInspectionUnderFire(t *testing.T) {
	r := start(t)
	rules := filepath.Join(t.TempDir(), "fire.rules")
	var text strings.Builder
	text.WriteString(`alert http any any -> any any (msg:"FIRE page"; flow:established,to_server; http.uri; content:"/fire"; classtype:trojan-activity; sid:1; rev:1;)` + "\n")
	for i := range 50 {
		fmt.Fprintf(&text, `alert tcp any any -> any any (msg:"FIRE %d"; content:"aaaaaaa"; pcre:"/(a+)+[b-%c]{2}$/R"; sid:%d; rev:1;)`+"\n", i, 'c'+i%20, 100+i)
		fmt.Fprintf(&text, `alert http any any -> any any (msg:"FIRE header %d"; http.header; content:"x-fire"; content:"%d"; distance:0; pcre:"/(x+x+)+y/"; sid:%d; rev:1;)`+"\n", i, i, 200+i)
	}
	text.WriteString(bombRules)
	if err := os.WriteFile(rules, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	config := map[string]any{"enabled": true, "mode": "prevent", "fail_open": true, "sources": []any{map[string]any{"name": "fire", "file": rules}}}
	site := strings.TrimSuffix(r.env["NGFW_LAB_HTTP"], "/")
	set := func(enabled bool) {
		t.Helper()
		config["enabled"] = enabled
		r.api.call(t, http.StatusOK, "PUT", "/api/ids/config", config, nil)
		r.api.awaitSynced(t)
	}

	t.Run("on and off under load", func(t *testing.T) {
		long := r.keepBooks(t, lab.LAN1, "10.77.1.31")
		done := make(chan error, 1)
		go func() { done <- long.transfer(4<<20, "--limit-rate", "600k") }()
		lost := r.pinging()
		for i := range 20 {
			set(i%2 == 0)
		}
		// A packet may be in the queue at each end.
		if n, all := lost(t); n > 10 {
			t.Errorf("%d of %d packets are lost by 20 changes", n, all)
		} else {
			t.Logf("%d of %d packets are lost by 20 changes", n, all)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if out := r.must(lab.RTR, "nft", "list", "table", "inet", "ngfw"); strings.Contains(strings.ToLower(out), "queue") {
			t.Errorf("packets still go to a queue:\n%s", out)
		}
		if out := r.must(lab.RTR, "cat", "/proc/self/net/netfilter/nfnetlink_queue"); strings.TrimSpace(out) != "" {
			t.Errorf("a queue is still bound:\n%s", out)
		}
	})

	set(true)
	t.Run("hostile streams do not stall others", func(t *testing.T) {
		flood := filepath.Join(t.TempDir(), "flood")
		if err := os.WriteFile(flood, []byte(strings.Repeat(strings.Repeat("a", 1400)+"bX", 400)), 0o644); err != nil {
			t.Fatal(err)
		}
		lost := r.pinging()
		headers := []string{"curl", "--silent", "--max-time", "20", "--output", "/dev/null"}
		for i := range 60 {
			headers = append(headers, "-H", fmt.Sprintf("x-fire-%d: %s", i, strings.Repeat("x", 1000)))
		}
		done := make(chan struct{}, 4)
		for range 2 {
			go func() {
				defer func() { done <- struct{}{} }()
				r.exec(lab.LAN2, "curl", "--silent", "--max-time", "20", "--output", "/dev/null", "--data-binary", "@"+flood, site+"/upload")
			}()
			go func() {
				defer func() { done <- struct{}{} }()
				r.exec(lab.LAN2, append(headers, site+"/")...)
			}()
		}
		for range 3 {
			// As long as a busy machine needs: judging the streams takes its share of the processor.
			if _, err := r.exec(lab.LAN1, "curl", "--silent", "--show-error", "--fail", "--max-time", "15", "--output", "/dev/null", r.env["NGFW_LAB_HTTP"]); err != nil {
				t.Error(err)
			}
		}
		for range 4 {
			<-done
		}
		if n, all := lost(t); n > all/20 {
			t.Errorf("%d of %d packets of another flow are lost meanwhile", n, all)
		} else {
			t.Logf("%d of %d packets are lost", n, all)
		}
		for line := range strings.Lines(r.agentMetrics()) {
			if strings.HasPrefix(line, "ngfw_ids_") && (strings.Contains(line, "panics") || strings.Contains(line, "dropped") || strings.Contains(line, "taken")) {
				t.Log(strings.TrimSpace(line))
			}
		}
	})

	t.Run("bombs unpack to nothing", r.bombs)

	t.Run("killed while it inspects", func(t *testing.T) {
		before := r.process("agent")
		restore := r.withhold("ngfw-agent")
		lost := r.pinging()
		r.kill(before)
		if err := r.fetch(lab.LAN1, r.env["NGFW_LAB_HTTP"]+"bytes/1000000"); err != nil {
			t.Errorf("nothing passes a dead matcher: %v", err)
		}
		restore()
		r.awaitOther(t, "agent", before)
		r.api.awaitSynced(t)
		// What waits in the queue is lost with the process, which a busy machine is slow to take down.
		if n, all := lost(t); n > 5+all/10 {
			t.Errorf("%d of %d packets are lost", n, all)
		} else {
			t.Logf("%d of %d packets are lost", n, all)
		}
		labtest.Eventually(t, patience, func() error {
			if _, err := r.exec(lab.LAN1, "curl", "--silent", "--max-time", "5", "--output", "/dev/null", site+"/fire"); err != nil {
				return err
			}
			if len(r.api.alerts(t, url.Values{"signature_id": {"1"}})) == 0 {
				return fmt.Errorf("it does not inspect after its restart")
			}
			return nil
		})
	})
}

var pingResult = regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`)

// pinging sends a packet each 20 ms from lan1 to inet until it is asked how many were lost.
func (r *run) pinging() func(*testing.T) (lost, all int) {
	said := make(chan string, 1)
	stop := filepath.Join(filepath.Dir(r.dir), fmt.Sprintf("ping-%d", runs.Add(1)))
	go func() {
		out, _ := r.exec(lab.LAN1, "sh", "-c", `ping -q -n -i 0.02 -W 1 "$1" & p=$!; until [ -e "$2" ]; do sleep 0.1; done; kill -INT $p; wait $p`, "sh", lab.IP4(lab.INET).String(), stop)
		said <- out
	}()
	return func(t *testing.T) (int, int) {
		t.Helper()
		if err := os.WriteFile(stop, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		out := <-said
		m := pingResult.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("ping said %q", out)
		}
		sent, _ := strconv.Atoi(m[1])
		back, _ := strconv.Atoi(m[2])
		return sent - back, sent
	}
}
