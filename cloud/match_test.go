package cloud

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/system"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// member is a list with members, as the table of TestIfMatch has it.
type member struct{ list, add, other, change string }

var members = []member{
	{"/api/firewall/rules", `{"name":"a","zone_from":"LAN","zone_to":"WAN","action":"drop"}`, `{"name":"b","zone_from":"LAN","zone_to":"WAN","action":"drop","icmp_types":[]}`, `{"name":"c","zone_from":"LAN","zone_to":"WAN","action":"accept"}`},
	{"/api/firewall/zones", `{"name":"LAB"}`, `{"name":"LAB2","interfaces":["eth7"]}`, `{"interfaces":["eth8"]}`},
	{"/api/firewall/groups", `{"name":"a","type":"address"}`, `{"name":"b","type":"port","members":["80"]}`, `{"name":"a","type":"address","members":["10.0.0.1"]}`},
	{"/api/nat/rules", `{"name":"a","external_port":80,"internal_ip":"10.0.0.5","protocol":"tcp"}`, `{"name":"b","nat_type":"masquerade"}`, `{"name":"c","nat_type":"snat","translate_to":"192.0.2.7"}`},
	{"/api/ids/rules", `{"rule":"alert icmp any any -> any any (msg:\"a\"; sid:1;)"}`, `{"rule":"alert icmp any any -> any any (msg:\"b\"; sid:2;)"}`, ""},
	{"/api/ids/suppressions", `{"sid":1}`, `{"sid":2}`, ""},
	{"/api/qos/classes", `{"name":"a","priority":1}`, `{"name":"b","priority":2,"ports":[80]}`, `{"name":"c","priority":3}`},
}

// tag is the ETag of an answer, which every one of them has.
func (r *rest) tag(a answer) string {
	r.Helper()
	if a.status >= 300 || len(a.header.Get("ETag")) < 10 {
		r.Fatalf("%d, ETag %q: %s", a.status, a.header.Get("ETag"), a.body)
	}
	return a.header.Get("ETag")
}

// stale demands that a write changes nothing.
func (r *rest) stale(method, path string, body any, tag string) {
	r.Helper()
	list := path
	if i := strings.LastIndexByte(path, '/'); method == "DELETE" || !strings.HasSuffix(path, "s") && !strings.HasSuffix(path, "config") {
		list = path[:i]
	}
	before := r.call("GET", list, nil, nil).body
	said := r.refused(http.StatusPreconditionFailed, "PRECONDITION_FAILED", "", method, path, body, "If-Match", tag)
	if said == "" {
		r.Error("nothing is said")
	}
	if after := r.call("GET", list, nil, nil).body; string(after) != string(before) {
		r.Errorf("%s %s with a stale If-Match made %s of %s", method, path, after, before)
	}
}

func TestIfMatchOfMembers(t *testing.T) {
	r := newREST(t)
	r.register("edge")
	for _, m := range members {
		empty := r.tag(r.do("GET", m.list, nil))
		var first, second struct{ ID int64 }
		made := r.tag(r.call("POST", m.list, m.add, &first, "If-Match", empty))
		r.stale("POST", m.list, m.other, empty)
		other := r.tag(r.call("POST", m.list, m.other, &second))
		whole := r.tag(r.do("GET", m.list, nil))
		one := fmt.Sprint(m.list, "/", first.ID)
		if m.change != "" {
			// A write of another member does not make this one stale; the list's tag does.
			changed := r.tag(r.do("PUT", one, m.change, "If-Match", made))
			r.stale("PUT", one, m.change, made)
			r.stale("PUT", one, m.change, whole)
			r.stale("PUT", one, m.change, other)
			r.stale("PUT", one, m.change, "W/"+changed)
			r.tag(r.do("PUT", one, m.change, "If-Match", `"x", `+changed)) // what is there already
			whole = r.tag(r.do("GET", m.list, nil))
			r.tag(r.do("PUT", one, m.change, "If-Match", whole))
			made = changed
		}
		r.stale("DELETE", one, nil, empty)
		r.call("DELETE", one, nil, nil, "If-Match", made)
		r.call("DELETE", fmt.Sprint(m.list, "/", second.ID), nil, nil, "If-Match", "*")
		r.refused(http.StatusNotFound, "NOT_FOUND", "", "DELETE", one, nil, "If-Match", made)
		if now := r.tag(r.do("GET", m.list, nil)); now != empty {
			t.Errorf("%s: without the two again the tag is %s, was %s", m.list, now, empty)
		}
	}
}

func TestIfMatchOfWholes(t *testing.T) {
	r := newREST(t)
	device := r.register("edge")
	var ids [2]struct{ ID int64 }
	for i := range ids {
		r.call("POST", "/api/firewall/rules", fmt.Sprintf(`{"name":"%d","zone_from":"LAN","zone_to":"WAN","action":"drop"}`, i), &ids[i])
	}
	for _, c := range []struct{ get, put, a, b string }{
		{"/api/firewall/policies", "/api/firewall/policies", `[{"from":"LAN","to":"WAN","action":"accept"}]`, `[]`},
		{"/api/firewall/rules", "/api/firewall/rules/order", `{"rule_ids":[2,1]}`, `{"rule_ids":[1,2]}`},
		{"/api/ids/config", "/api/ids/config", `{"enabled":true,"variables":{"A_PORTS":"80","B_PORTS":"90","C":"10.0.0.1"}}`, `{}`},
		{"/api/ids/categories", "/api/ids/categories/dos", `{"mode":"prevent"}`, `{"enabled":false}`},
		{"/api/qos/config", "/api/qos/config", `{"scheduler":"cake","cake_options":{}}`, `{"upload_mbps":5}`},
		{"/api/qos/device-limits", "/api/qos/device-limits/02:00:5e:10:00:01", `{"priority":1}`, `{"priority":2}`},
		{"/api/fleet/devices/" + device, "/api/fleet/devices/" + device, `{"name":"a"}`, `{"name":"b","tags":["x"]}`},
	} {
		read := r.tag(r.do("GET", c.get, nil))
		r.refused(http.StatusBadRequest, "BAD_REQUEST", "If-None-Match", "PUT", c.put, c.a, "If-None-Match", "*")
		first := r.tag(r.do("PUT", c.put, c.a, "If-Match", read))
		r.refused(http.StatusPreconditionFailed, "PRECONDITION_FAILED", "", "PUT", c.put, c.b, "If-Match", read)
		second := r.tag(r.do("PUT", c.put, c.b, "If-Match", first))
		if a := r.do("GET", c.get, nil, "If-None-Match", r.tag(r.do("GET", c.get, nil))); a.status != http.StatusNotModified {
			t.Errorf("%s: what is known comes again: %d", c.get, a.status)
		}
		r.refused(http.StatusPreconditionFailed, "PRECONDITION_FAILED", "", "PUT", c.put, c.a, "If-Match", first)
		r.tag(r.do("PUT", c.put, c.a, "If-Match", second))
	}
	// What is wrong anyway is told first.
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "scheduler", "PUT", "/api/qos/config", `{"scheduler":"x"}`, "If-Match", `"x"`)
	r.refused(http.StatusBadRequest, "BAD_REQUEST", "If-Match", "POST", "/api/firewall/check", `{}`, "If-Match", `"x"`)
	r.refused(http.StatusBadRequest, "BAD_REQUEST", "If-Unmodified-Since", "DELETE", "/api/firewall/rules/1", nil, "If-Unmodified-Since", "Sun, 22 Nov 2026 00:00:00 GMT")
	r.stale("DELETE", "/api/firewall/rules/1", nil, `"x"`)
	if a := r.do("DELETE", "/api/fleet/devices/"+device, nil, "If-Match", `"x"`); a.status != http.StatusPreconditionFailed {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// What is counted does not make a write stale, and yet is shown.
func TestHitsAreNoChange(t *testing.T) {
	r := newREST(t)
	device := r.register("edge")
	const rules, body = "/api/firewall/rules", `{"name":"a","zone_from":"LAN","zone_to":"WAN","action":"drop"}`
	made := r.tag(r.do("POST", rules, body))
	list := r.tag(r.do("GET", rules, nil))
	if err := r.core.Reports.Connected(t.Context(), device, system.Hello{}); err != nil {
		t.Fatal(err)
	}
	if err := r.core.Reports.Metrics(t.Context(), device, &ngfwv1.Metrics{Rules: []*ngfwv1.RuleCounter{{RuleId: 1, Hits: 7}}}); err != nil {
		t.Fatal(err)
	}
	if a := r.do("GET", rules, nil, "If-None-Match", list); a.status != http.StatusOK || !strings.Contains(string(a.body), `"hits":7`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	r.tag(r.do("PUT", rules+"/1", body, "If-Match", made))
	r.tag(r.do("PUT", rules+"/1", body, "If-Match", list))
}

// Of writers that have seen the same, one writes.
func TestIfMatchOfMany(t *testing.T) {
	r := newREST(t)
	r.register("edge")
	tag := r.tag(r.do("GET", "/api/qos/config", nil))
	var done, refused int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			a := r.do("PUT", "/api/qos/config", fmt.Sprintf(`{"upload_mbps":%d}`, i+1), "If-Match", tag)
			mu.Lock()
			defer mu.Unlock()
			switch a.status {
			case http.StatusOK:
				done++
			case http.StatusPreconditionFailed:
				refused++
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	all.Wait()
	if done != 1 || refused != 15 {
		t.Errorf("%d wrote, %d were refused", done, refused)
	}
}

// Every write of a router's configuration takes If-Match.
func TestEveryConfigurationWriteTakesIfMatch(t *testing.T) {
	for _, service := range operation.Services() {
		ops, err := operation.Of(service)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range ops {
			if o.Device && o.Permission == ngfwv1.Permission_PERMISSION_WRITE && !o.IfMatch {
				t.Errorf("%s does not take If-Match", o.RPC)
			}
		}
	}
}
