package ids_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/config/ids"
	"ngfw.sh/internal/fault"
)

const (
	ping = `alert icmp $EXTERNAL_NET any -> $HOME_NET any (msg:"ping"; itype:8; sid:1000001; rev:1;)`
	web  = `drop http $HOME_NET any -> $EXTERNAL_NET $WEB_PORTS (msg:"x"; http.uri; content:"/x"; sid:1000002;)`
)

func TestDecode(t *testing.T) {
	d, err := ids.Decode([]byte(`{"enabled":true,"mode":"prevent","variables":{"WEB_PORTS":"[80,8080]"},
		"categories":[{"id":"dos","enabled":false,"mode":"disabled"}],
		"rules":[{"id":1,"name":"ping","rule":` + quoted(ping) + `,"enabled":true,"category":"suspicious"},
			{"id":2,"name":"web","rule":` + quoted(web) + `,"enabled":true,"category":"web-attacks"}],
		"suppressions":[{"id":1,"gid":1,"sid":1000001,"track":"by_src","ip":"10.0.0.0/8"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if !d.FailOpen || d.UpdateInterval != 86400 || d.Mode != ids.Prevent || len(d.Categories) != len(ids.Catalogue) {
		t.Errorf("%+v", d)
	}
	for i, c := range d.Categories {
		if c.ID != ids.Catalogue[i].ID || c.Enabled != (c.ID != "dos") {
			t.Errorf("category %d is %+v", i, c)
		}
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ids.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, again); diff != "" {
		t.Error(diff)
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                        "",
		`{"unknown":1}`:             "unknown",
		`{"enabled":"yes"}`:         "enabled",
		`{} {}`:                     "",
		`{"mode":"watch"}`:          "mode",
		`{"update_interval":60}`:    "update_interval",
		`{"alert_threshold":-1}`:    "alert_threshold",
		`{"interfaces":[""]}`:       "interfaces[0]",
		`{"home_networks":["lan"]}`: "home_networks[0]",
		`{"home_networks":["!10.0.0.0/8","!0.0.0.0/0","!::/0"]}`:                                 "home_networks",
		`{"excluded_networks":["!10.0.0.1"]}`:                                                    "excluded_networks[0]",
		`{"variables":{"web":"80"}}`:                                                             "variables.web",
		`{"variables":{"HOME_NET":"10.0.0.0/8"}}`:                                                "variables.HOME_NET",
		`{"variables":{"A_PORTS":"$B_PORTS"}}`:                                                   "variables.A_PORTS",
		`{"variables":{"A_PORTS":"$A_PORTS"}}`:                                                   "variables.A_PORTS",
		`{"variables":{"SERVERS":"10.0.0.300"}}`:                                                 "variables.SERVERS",
		`{"sources":[{"name":"","url":"https://rules.example/a"}]}`:                              "sources[0].name",
		`{"sources":[{"name":"a"}]}`:                                                             "sources[0].url",
		`{"sources":[{"name":"a","url":"ftp://rules.example/a"}]}`:                               "sources[0].url",
		`{"sources":[{"name":"a","url":"http://rules.example/a"}]}`:                              "sources[0].sha256",
		`{"sources":[{"name":"a","url":"https://u:p@rules.example/a"}]}`:                         "sources[0].url",
		`{"sources":[{"name":"a","file":"rules"}]}`:                                              "sources[0].file",
		`{"sources":[{"name":"a","file":"/a/../b"}]}`:                                            "sources[0].file",
		`{"sources":[{"name":"a","file":"/a","sha256":"abc"}]}`:                                  "sources[0].sha256",
		`{"sources":[{"name":"a","file":"/a"},{"name":"a","file":"/b"}]}`:                        "sources[1].name",
		`{"categories":[{"id":"x","enabled":true,"mode":"detect"}]}`:                             "categories[8].id",
		`{"categories":[{"id":"dos","enabled":true,"mode":"disabled"}]}`:                         "categories[2].enabled",
		`{"rules":[{"id":1,"name":"a","rule":"alert","category":"dos"}]}`:                        "rules[0].rule",
		`{"rules":[{"id":1,"name":"a","rule":` + quoted(ping+"\n"+ping) + `,"category":"dos"}]}`: "rules[0].rule",
		`{"rules":[{"id":1,"name":"a","rule":` + quoted(ping) + `,"category":"x"}]}`:             "rules[0].category",
		`{"rules":[{"id":1,"name":"a","rule":` + quoted(ping) + `,"category":"dos"},{"id":2,"name":"b","rule":` + quoted(ping) + `,"category":"dos"}]}`: "rules[1].rule",
		`{"suppressions":[{"id":1,"gid":1,"sid":0}]}`:                                   "suppressions[0].sid",
		`{"suppressions":[{"id":1,"gid":1,"sid":5,"ip":"10.0.0.1"}]}`:                   "suppressions[0].track",
		`{"suppressions":[{"id":1,"gid":1,"sid":5,"track":"by_src"}]}`:                  "suppressions[0].ip",
		`{"suppressions":[{"id":1,"gid":1,"sid":5,"track":"by_rule","ip":"10.0.0.1"}]}`: "suppressions[0].track",
	} {
		_, err := ids.Decode([]byte(text))
		f, ok := fault.As(err)
		if !ok || !slices.ContainsFunc(append(f.Fields, fault.Field{}), func(field fault.Field) bool { return field.Path == want }) || want != "" && f.Field() == "" {
			t.Errorf("%s: %v, want a finding at %q", text, err, want)
		}
	}
}

// TestANetworkIsWrongOnce: what is made of a network that is wrong is not wrong by itself.
func TestANetworkIsWrongOnce(t *testing.T) {
	for text, want := range map[string]string{
		`{"home_networks":["lan"],"variables":{"SERVERS":"$HOME_NET"}}`:                                                 "home_networks[0]",
		`{"home_networks":["!10.0.0.0/8","!0.0.0.0/0","!::/0"],"variables":{"SERVERS":"$HOME_NET"}}`:                    "home_networks",
		`{"home_networks":["10.0.0.0/8"],"external_networks":["!0.0.0.0/0","!::/0"],"variables":{"A":"$EXTERNAL_NET"}}`: "external_networks",
	} {
		_, err := ids.Decode([]byte(text))
		f, _ := fault.As(err)
		if f == nil || len(f.Fields) != 1 || f.Fields[0].Path != want {
			t.Errorf("%s: %v, want one finding, at %q", text, err, want)
		}
	}
}

// TestRuleErrorsHaveAPlace: whoever writes a rule is told where it is wrong.
func TestRuleErrorsHaveAPlace(t *testing.T) {
	_, err := ids.ParseRule(ids.Default(), `alert tcp any any -> any any (msg:"a"; contnet:"b"; sid:1;)`)
	if err == nil || !strings.Contains(err.Error(), "1:40") || !strings.Contains(err.Error(), "content") {
		t.Errorf("%v", err)
	}
}

func TestEveryClassHasACategory(t *testing.T) {
	if got := ids.CategoryOf("trojan-activity"); got != "malware" {
		t.Error(got)
	}
	if got := ids.CategoryOf("never-heard-of"); got != "suspicious" {
		t.Error(got)
	}
	for _, class := range []string{"attempted-dos", "web-application-attack", "domain-c2", "network-scan", "bad-unknown"} {
		if _, ok := ids.KindOf(ids.CategoryOf(class)); !ok {
			t.Errorf("%s is of no category", class)
		}
	}
}
