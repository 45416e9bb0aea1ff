package cloud

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/system"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// reports has the router say something of itself.
func (r *rest) reports(device string, d *ngfwv1.Dataplane) {
	r.Helper()
	if err := r.core.Reports.Metrics(r.Context(), device, &ngfwv1.Metrics{Dataplane: d}); err != nil {
		r.Fatal(err)
	}
}

// What a router has said that it cannot enforce is refused by name, and not stored.
func TestCountriesThatTheRouterDoesNotKnow(t *testing.T) {
	r := newREST(t)
	device := r.register("edge")
	const rules, groups = "/api/firewall/rules", "/api/firewall/groups"
	country := func(code string) string {
		return `{"name":"` + code + `","source":"!geo:` + code + `",` + toWAN + `}`
	}
	r.call("POST", rules, country("DE"), nil) // the router has not said anything yet
	r.reports(device, &ngfwv1.Dataplane{})    // nor does an old one
	r.call("POST", rules, country("FR"), nil)
	r.reports(device, &ngfwv1.Dataplane{Countries: proto.Bool(false)})
	if said := r.refused(http.StatusBadRequest, "INVALID_CONFIG", "source", "POST", rules, country("US")); !strings.Contains(said, "geo:US") || !strings.Contains(said, "geoip") {
		t.Error(said)
	}
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "change.body.source", "POST", "/api/firewall/diff",
		`{"change":{"op":"create","resource":"rule","body":`+country("US")+`}}`)
	// What is there already may stay, and what nobody uses asks for nothing.
	r.call("PUT", rules+"/1", strings.Replace(country("DE"), "drop", "reject", 1), nil)
	r.call("POST", groups, `{"name":"away","type":"address","members":["geo:US"]}`, nil)
	r.call("POST", rules, strings.Replace(country("US"), `{"name"`, `{"enabled":false,"name"`, 1), nil)
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "source", "POST", rules, `{"name":"g","source":"@away",`+toWAN+`}`)
	r.reports(device, &ngfwv1.Dataplane{Countries: proto.Bool(true)})
	r.call("POST", rules, country("GB"), nil)
}

// A section that is applied and not wholly in force does not pass for synced.
func TestDegradedConfiguration(t *testing.T) {
	r := newREST(t)
	device := r.register("edge")
	path := "/api/fleet/devices/" + device + "/status"
	var status struct {
		Config struct {
			Wanted int64
			State  string
			Error  *struct{ Section, Message string }
		}
	}
	r.call("PUT", "/api/ids/config", `{"enabled":true,"sources":[{"name":"a","url":"https://rules.example/a"}]}`, nil)
	r.call("GET", path, nil, &status)
	wanted := status.Config.Wanted
	if err := r.core.Reports.Connected(t.Context(), device, system.Hello{}); err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"ids", "full"} {
		if err := r.core.Reports.ConfigApplied(t.Context(), device, section, wanted); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		lacking []*ngfwv1.SectionLack
		state   string
	}{
		{nil, "synced"},
		{[]*ngfwv1.SectionLack{{Section: "ids", Version: wanted, Reason: "ids, rule set a: cannot be fetched"}}, "degraded"},
		{[]*ngfwv1.SectionLack{{Section: "ids", Version: wanted - 1, Reason: "of the document before"}}, "synced"},
	} {
		r.reports(device, &ngfwv1.Dataplane{Lacking: c.lacking})
		status.Config.Error = nil
		r.call("GET", path, nil, &status)
		e := status.Config.Error
		if status.Config.State != c.state || (e != nil) != (c.state == "degraded") || e != nil && (e.Section != "ids" || !strings.Contains(e.Message, "rule set a")) {
			t.Errorf("%v: %+v", c.lacking, status.Config)
		}
	}
}
