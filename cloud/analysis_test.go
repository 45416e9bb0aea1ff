package cloud

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

const (
	toWAN     = `"zone_from":"LAN","zone_to":"WAN","action":"drop"`
	ofAChild  = `{"change":{"op":"create","resource":"rule","body":{"name":"child","source":"10.1.0.0/16",` + toWAN + `}}}`
	ofGermany = `{"change":{"op":"create","resource":"rule","body":{"name":"de","destination":"geo:DE",` + toWAN + `}}}`
)

// finding is what a check says.
type finding struct {
	Kind   string
	RuleID int64 `json:"rule_id"`
}

func TestCheckOfAChange(t *testing.T) {
	r := newREST(t)
	r.register("edge")
	const check = "/api/firewall/check"
	r.call("POST", "/api/firewall/rules", `{"name":"all","source":"10.0.0.0/8",`+toWAN+`}`, nil)
	var found []finding
	r.call("POST", check, `{}`, &found)
	if len(found) != 0 {
		t.Errorf("%v", found)
	}
	r.call("POST", check, ofAChild, &found)
	if len(found) != 1 || found[0].Kind != "shadowed" || found[0].RuleID != 2 {
		t.Errorf("%v", found)
	}
	r.call("POST", check, `{"policy":{"zones":[{"name":"LAN"},{"name":"WAN"}],"rules":[{"id":1,"name":"a",`+toWAN+`},{"id":2,"name":"b",`+toWAN+`}],"policies":[]}}`, &found)
	if len(found) == 0 {
		t.Error("a policy is not looked at")
	}
	r.refused(http.StatusBadRequest, "INVALID_CONFIG", "change.body.source", "POST", check, strings.Replace(ofAChild, "10.1.0.0/16", "10.1.0.0/8", 1))
	r.refused(http.StatusBadRequest, "BAD_REQUEST", "", "POST", check, `{"policy":{},"change":{}}`)
	r.refused(http.StatusNotFound, "NOT_FOUND", "", "POST", check, `{"change":{"op":"delete","resource":"rule","id":9}}`)
	var rules []finding
	if r.call("GET", "/api/firewall/rules", nil, &rules); len(rules) != 1 {
		t.Errorf("a question wrote %v", rules)
	}
}

// atlas writes a database of countries.
func atlas(t *testing.T, networks map[string]string) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "test", RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for text, code := range networks {
		_, network, err := net.ParseCIDR(text)
		if err == nil {
			err = tree.Insert(network, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "countries.mmdb")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	return name
}

// Rules that name countries are analysed where the cloud has a database, and refused
// with the remedy where it has none.
func TestCountriesInAnalyses(t *testing.T) {
	r := newREST(t)
	r.register("edge")
	r.call("POST", "/api/firewall/rules", `{"name":"documents","destination":"203.0.113.0/24",`+toWAN+`}`, nil)
	for _, path := range []string{"check", "diff", "backtest"} {
		if said := r.refused(http.StatusBadRequest, "INVALID_CONFIG", "rules[1].destination", "POST", "/api/firewall/"+path, ofGermany); !strings.Contains(said, "geoip") {
			t.Errorf("%s: %s", path, said)
		}
	}
	r.stop()
	r.cfg.GeoIP = atlas(t, map[string]string{"203.0.113.0/25": "DE"})
	r.begin()
	var found []finding
	r.call("POST", "/api/firewall/check", ofGermany, &found)
	if len(found) != 1 || found[0].Kind != "shadowed" || found[0].RuleID != 2 {
		t.Errorf("%v", found)
	}
	var changes []struct{ Box struct{ Destination string } }
	r.call("POST", "/api/firewall/diff", strings.Replace(ofGermany, `"action":"drop"`, `"action":"reject"`, 1), &changes)
	if len(changes) != 0 { // the first rule takes all of it
		t.Errorf("%v", changes)
	}
	// Another file, which a running service notices within half a minute.
	r.stop()
	r.cfg.GeoIP = atlas(t, map[string]string{"203.0.113.0/25": "DE", "192.0.2.0/24": "DE"})
	r.begin()
	r.call("POST", "/api/firewall/diff", strings.Replace(ofGermany, `"action":"drop"`, `"action":"reject"`, 1), &changes)
	if len(changes) != 1 || changes[0].Box.Destination != "192.0.2.0/24" {
		t.Errorf("%v", changes)
	}
	r.call("POST", "/api/firewall/backtest", ofGermany, nil)
	r.stop()
	if err := os.WriteFile(r.cfg.GeoIP, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.begin()
	r.refused(http.StatusServiceUnavailable, "UNAVAILABLE", "", "POST", "/api/firewall/check", ofGermany)
}

// Sources are translated behind the rules: such a change has a difference, an empty one.
func TestDiffOfNAT(t *testing.T) {
	r := newREST(t)
	r.register("edge")
	change := func(body string) string {
		return `{"change":{"op":"create","resource":"nat","body":{"name":"n",` + body + `}}}`
	}
	r.call("POST", "/api/nat/rules", `{"name":"web","external_port":80,"internal_ip":"10.0.0.5","protocol":"tcp"}`, nil)
	r.wantBody(r.call("POST", "/api/firewall/diff", change(`"nat_type":"snat","translate_to":"192.0.2.7"`), nil), `[]`)
	r.wantBody(r.call("POST", "/api/firewall/diff", change(`"nat_type":"masquerade"`), nil), `[]`)
	var changes []struct {
		From, To      string
		Witness       struct{ Dst string }
		ToDestination string `json:"to_destination"`
	}
	r.call("POST", "/api/firewall/diff", change(`"nat_type":"dnat","destination":"198.51.100.7","translate_to":"10.0.0.6"`), &changes)
	if len(changes) == 0 {
		t.Error("a forwarded address changes nothing")
	}
	for _, c := range changes {
		if c.To != "accept" || c.Witness.Dst != "198.51.100.7" || c.From == "accept" && !strings.HasPrefix(c.ToDestination, "10.0.0.6") {
			t.Errorf("%+v", c)
		}
	}
}
