package cloud

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/cloud/system"
	"ngfw.sh/config/qos"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// wantQoS demands what the router would get of the section.
func (r *rest) wantQoS(device, want string) {
	r.Helper()
	_, sections, _, err := r.core.Fleet.Document(r.Context(), device)
	if err != nil {
		r.Fatal(err)
	}
	got := string(sections["qos"])
	if got != "" {
		if _, err := qos.Decode([]byte(got)); err != nil {
			r.Errorf("the router cannot read %s: %v", got, err)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		r.Error(d)
	}
}

func (r *rest) wantBody(a answer, want string) {
	r.Helper()
	if d := cmp.Diff(want, strings.TrimSpace(string(a.body))); d != "" {
		r.Error(d)
	}
}

func TestQoS(t *testing.T) {
	r := newREST(t)
	device := r.register("edge")
	r.wantQoS(device, "") // nobody asked for it
	r.wantBody(r.call("GET", "/api/qos/config", nil, nil), `{"enabled":false,"upload_mbps":0,"download_mbps":0,"scheduler":"fq_codel"}`)
	r.wantBody(r.call("GET", "/api/qos/classes", nil, nil), `[]`)
	r.wantBody(r.call("GET", "/api/qos/device-limits", nil, nil), `[]`)

	a := r.call("PUT", "/api/qos/config", `{"enabled":true,"upload_mbps":20,"download_mbps":100.5,"scheduler":"cake","cake_options":{"ack_filter":true}}`, nil)
	const cake = `{"enabled":true,"upload_mbps":20,"download_mbps":100.5,"scheduler":"cake","cake_options":{"isolation":"triple-isolate","rtt_ms":100,"nat":true,"ack_filter":true,"wash":false}}`
	r.wantBody(a, cake)
	if a.header.Get("X-Config-Version") == "" {
		t.Error("a write without its version")
	}
	r.wantBody(r.call("GET", "/api/qos/config", nil, nil), cake)

	a = r.call("POST", "/api/qos/classes", `{"name":"voice","priority":0,"guaranteed_mbps":2,"dscp_markings":["EF",34],"applications":["sip"],"id":77,"stats":{"packets":5}}`, nil)
	const voice = `{"id":1,"name":"voice","priority":0,"guaranteed_mbps":2,"applications":["sip"],"dscp_markings":[46,34],"ports":[],"stats":{"packets":0,"bytes":0,"dropped":0,"backlog":0,"marked":0,"queue":""}}`
	if a.status != http.StatusCreated {
		t.Errorf("a class is made with %d", a.status)
	}
	r.wantBody(a, voice)
	a = r.call("POST", "/api/qos/classes", `{"name":"bulk","priority":7,"max_mbps":50,"ports":[873,"443","tcp/8000-8080"]}`, nil)
	r.wantBody(a, `{"id":2,"name":"bulk","priority":7,"max_mbps":50,"applications":[],"dscp_markings":[],"ports":[873,443,"tcp/8000-8080"],"stats":{"packets":0,"bytes":0,"dropped":0,"backlog":0,"marked":0,"queue":""}}`)
	r.wantBody(r.call("PUT", "/api/qos/classes/2", `{"name":"bulk","priority":6,"guaranteed_mbps":18}`, nil),
		`{"id":2,"name":"bulk","priority":6,"guaranteed_mbps":18,"applications":[],"dscp_markings":[],"ports":[],"stats":{"packets":0,"bytes":0,"dropped":0,"backlog":0,"marked":0,"queue":""}}`)

	r.wantBody(r.call("PUT", "/api/qos/device-limits/02-00-5E-10-00-01", `{"hostname":"tv","download_mbps":8}`, nil),
		`{"mac":"02:00:5e:10:00:01","hostname":"tv","download_mbps":8}`)
	r.wantBody(r.call("PUT", "/api/qos/device-limits/02:00:5e:10:00:01", `{"mac":"02:00:5E:10:00:01","upload_mbps":1.5,"priority":0}`, nil),
		`{"mac":"02:00:5e:10:00:01","upload_mbps":1.5,"priority":0}`)
	r.wantBody(r.call("GET", "/api/qos/device-limits", nil, nil), `[{"mac":"02:00:5e:10:00:01","upload_mbps":1.5,"priority":0}]`)
	r.wantQoS(device, `{"enabled":true,"upload_mbps":20,"download_mbps":100.5,"scheduler":"cake","cake_options":{"isolation":"triple-isolate","rtt_ms":100,"nat":true,"ack_filter":true,"wash":false},`+
		`"classes":[{"id":1,"name":"voice","priority":0,"guaranteed_mbps":2,"applications":["sip"],"dscp_markings":[46,34],"ports":[]},`+
		`{"id":2,"name":"bulk","priority":6,"guaranteed_mbps":18,"applications":[],"dscp_markings":[],"ports":[]}],`+
		`"device_limits":[{"mac":"02:00:5e:10:00:01","upload_mbps":1.5,"priority":0}]}`)

	version := r.call("GET", "/api/fleet/devices/"+device+"/status", nil, nil).body
	const classes, limit = "/api/qos/classes", "/api/qos/device-limits/02:00:5e:10:00:01"
	// Guarantees that do not fit are refused with both figures, wherever the change is made.
	for _, c := range []struct {
		field, method, path, body string
		figures                   []string
	}{
		{"guaranteed_mbps", "POST", classes, `{"name":"more","priority":1,"guaranteed_mbps":0.5}`, []string{"20.5", "20 "}},
		{"guaranteed_mbps", "PUT", classes + "/2", `{"name":"bulk","priority":1,"guaranteed_mbps":18.25}`, []string{"20.25", "20 "}},
		{"upload_mbps", "PUT", "/api/qos/config", `{"enabled":true,"upload_mbps":19.5,"download_mbps":100}`, []string{"19.5", "20 "}},
		{"download_mbps", "PUT", "/api/qos/config", `{"enabled":false,"upload_mbps":20,"download_mbps":10}`, []string{"10 ", "20 "}},
	} {
		said := r.refused(http.StatusBadRequest, "INVALID_CONFIG", c.field, c.method, c.path, c.body)
		for _, figure := range c.figures {
			if !strings.Contains(said, figure) {
				t.Errorf("%s: %q does not say %q", c.body, said, figure)
			}
		}
	}
	for body, field := range map[string]string{
		`{"priority":1}`:                                                  "name",
		`{"name":"x"}`:                                                    "priority",
		`{"name":"x","priority":8}`:                                       "priority",
		`{"name":"voice","priority":1}`:                                   "name",
		`{"name":"x","priority":1,"ports":[0]}`:                           "ports[0]",
		`{"name":"x","priority":1,"ports":[443,"udp/70000"]}`:             "ports[1]",
		`{"name":"x","priority":1,"ports":[true]}`:                        "ports",
		`{"name":"x","priority":1,"dscp_markings":[64]}`:                  "dscp_markings[0]",
		`{"name":"x","priority":1,"dscp_markings":["EG"]}`:                "dscp_markings",
		`{"name":"x","priority":1,"applications":["sip","nonsense"]}`:     "applications[1]",
		`{"name":"x","priority":1,"guaranteed_mbps":-1}`:                  "guaranteed_mbps",
		`{"name":"x","priority":1,"guaranteed_mbps":1.5,"max_mbps":1.25}`: "max_mbps",
	} {
		r.refused(http.StatusBadRequest, "INVALID_CONFIG", field, "POST", classes, body)
	}
	r.refused(http.StatusBadRequest, "BAD_REQUEST", "weight", "POST", classes, `{"name":"x","priority":1,"weight":3}`)
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "upload_mbps", "PUT", "/api/qos/config", `{"enabled":true,"download_mbps":100}`)
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "scheduler", "PUT", "/api/qos/config", `{"upload_mbps":20,"download_mbps":100,"scheduler":"red"}`)
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "cake_options", "PUT", "/api/qos/config", `{"upload_mbps":20,"download_mbps":100,"cake_options":{}}`)
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "cake_options.rtt_ms", "PUT", "/api/qos/config", `{"upload_mbps":20,"download_mbps":100,"scheduler":"cake","cake_options":{"rtt_ms":0}}`)
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "upload_mbps", "PUT", limit, `{"hostname":"tv"}`)
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "priority", "PUT", limit, `{"priority":9}`)
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "mac", "PUT", limit, `{"mac":"02:00:5e:10:00:02","priority":1}`)
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "mac", "PUT", "/api/qos/device-limits/tv", `{"priority":1}`)
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "mac", "DELETE", "/api/qos/device-limits/01:00:5e:00:00:01", nil)
	r.refused(http.StatusNotFound, "NOT_FOUND", "", "DELETE", "/api/qos/device-limits/02:00:5e:10:00:09", nil)
	if said := r.refused(http.StatusNotFound, "NOT_FOUND", "", "PUT", classes+"/9", `{"name":"x","priority":1}`); said != "no traffic class 9" {
		t.Error(said)
	}
	r.refused(http.StatusNotFound, "NOT_FOUND", "", "DELETE", classes+"/9", nil)
	if now := r.call("GET", "/api/fleet/devices/"+device+"/status", nil, nil).body; string(now) != string(version) {
		t.Errorf("what was refused has changed something: %s, before %s", now, version)
	}

	if a := r.call("DELETE", limit, nil, nil); a.status != http.StatusNoContent {
		t.Errorf("a limit is removed with %d", a.status)
	}
	r.call("DELETE", classes+"/2", nil, nil)
	r.call("POST", classes, `{"name":"again","priority":6}`, nil)
	r.stop()
	r.begin()
	var list []struct{ ID int64 }
	r.call("GET", classes, nil, &list)
	if len(list) != 2 || list[1].ID != 3 {
		t.Errorf("after a restart: %v", list)
	}
	entries, err := r.core.Store.Audit(t.Context(), r.org(), 3)
	if err != nil || entries[0].ResourceType != "qos.class" || entries[0].Action != "create" || entries[2].ResourceType != "qos.device-limit" {
		t.Errorf("the audit log has %+v, %v", entries, err)
	}
}

func (r *rest) org() string { return credentials(r.T, r.cfg).OrganizationID }

// What a class's queues have passed is the sum over uplinks and directions.
func TestQoSStatistics(t *testing.T) {
	r := newREST(t)
	device := r.register("edge")
	for _, name := range []string{"voice", "bulk"} {
		r.call("POST", "/api/qos/classes", map[string]any{"name": name, "priority": 1}, nil)
	}
	if err := r.core.Reports.Connected(t.Context(), device, system.Hello{AgentVersion: "test"}); err != nil {
		t.Fatal(err)
	}
	err := r.core.Reports.Metrics(t.Context(), device, &ngfwv1.Metrics{Qos: []*ngfwv1.QosCounter{
		{ClassId: 0, Interface: "wan", Direction: "upload", Packets: 1000, Bytes: 100000},
		{ClassId: 1, Interface: "wan", Direction: "upload", Packets: 10, Bytes: 1000, Dropped: 1, Backlog: 60, Marked: 4, Queue: "cake"},
		{ClassId: 1, Interface: "wan", Direction: "download", Packets: 20, Bytes: 30000, Dropped: 2, Marked: 5, Queue: "fq_codel"},
		{ClassId: 1, Interface: "wan2", Direction: "download", Packets: 3, Bytes: 300},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // also after a restart
		var list []struct {
			Stats struct {
				Packets, Bytes, Dropped, Backlog, Marked json.Number
				Queue                                    string
			}
		}
		r.call("GET", "/api/qos/classes", nil, &list)
		if s := list[0].Stats; s.Packets != "33" || s.Bytes != "31300" || s.Dropped != "3" || s.Backlog != "60" || s.Marked != "9" || s.Queue != "fq_codel" || list[1].Stats.Packets != "0" {
			t.Errorf("%+v", list)
		}
		if err := r.core.Reports.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.stop()
		r.begin()
	}
}

func TestQoSNeedsItsPlan(t *testing.T) {
	r := newREST(t)
	r.register("edge")
	var session struct {
		AccessToken string `json:"access_token"`
	}
	owner := credentials(t, r.cfg)
	for plan, status := range map[string]int{"starter": http.StatusForbidden, "pro": http.StatusOK} {
		if _, err := r.core.Account.SetPlan(t.Context(), owner.OrganizationID, plan); err != nil {
			t.Fatal(err)
		}
		r.call("POST", "/api/auth/login", map[string]string{"email": owner.Email, "password": owner.Password}, &session)
		a := r.do("GET", "/api/qos/config", nil, "Authorization", "Bearer "+session.AccessToken)
		if a.status != status {
			t.Errorf("on the plan %s: %d %s", plan, a.status, a.body)
		}
		if status == http.StatusForbidden {
			if code, _, _ := a.problem(t); code != "PLAN_LIMIT" {
				t.Error(code)
			}
		}
	}
}
