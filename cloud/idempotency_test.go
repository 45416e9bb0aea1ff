package cloud

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A repeated request is answered and not done again, also by a restarted service; and
// what is shown once lies on disk under seal.
func TestIdempotencyKeyOutlivesARestart(t *testing.T) {
	r := newREST(t)
	const device, rules = `{"name":"edge"}`, "/api/firewall/rules"
	const rule, other = `{"name":"a","zone_from":"LAN","zone_to":"WAN","action":"drop"}`, `{"name":"b","zone_from":"LAN","zone_to":"WAN","action":"drop"}`
	registered := r.call("POST", "/api/fleet/devices", device, nil, "Idempotency-Key", "one")
	made := r.call("POST", rules, rule, nil, "Idempotency-Key", "one") // another operation's key
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "name", "POST", rules, strings.Replace(rule, `"a"`, `""`, 1), "Idempotency-Key", "two")
	for range 2 {
		for path, want := range map[string]struct {
			text string
			answer
		}{"/api/fleet/devices": {device, registered}, rules: {" " + rule, made}} {
			again := r.do("POST", path, want.text, "Idempotency-Key", "one")
			if again.status != http.StatusCreated || !bytes.Equal(again.body, want.answer.body) {
				t.Errorf("%s again: %d %s, first %s", path, again.status, again.body, want.answer.body)
			}
			for _, name := range []string{"X-Config-Version", "ETag"} {
				if again.header.Get(name) != want.header.Get(name) {
					t.Errorf("%s again: %s %q, first %q", path, name, again.header.Get(name), want.header.Get(name))
				}
			}
			if again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s: the repeat does not say that it is one", path)
			}
		}
		r.refused(http.StatusConflict, "CONFLICT", "", "POST", rules, other, "Idempotency-Key", "one")
		r.stop()
		r.begin()
	}
	if a := r.call("POST", rules, other, nil, "Idempotency-Key", "two"); a.header.Get("Idempotent-Replayed") != "" { // it failed before
		t.Error("a failure was kept")
	}
	var list, devices []struct{ Name string }
	r.call("GET", rules, nil, &list)
	r.call("GET", "/api/fleet/devices", nil, &devices)
	if len(list) != 2 || len(devices) != 1 {
		t.Errorf("%v, %v", list, devices)
	}
	var secret struct {
		Key string `json:"api_key"`
	}
	r.call("POST", "/api/fleet/devices", device, &secret, "Idempotency-Key", "one")
	r.stop()
	files, err := filepath.Glob(filepath.Join(r.cfg.DataDir, "*"))
	if err != nil || len(secret.Key) < 20 {
		t.Fatal(err, secret)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err == nil && bytes.Contains(text, []byte(secret.Key)) {
			t.Errorf("%s holds the router's key", name)
		}
	}
}
