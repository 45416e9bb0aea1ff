package domaintest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/ids"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// loaded is what routers said of their rules: by device, by category.
type loaded map[string]map[string]int64

func (l loaded) LoadedRules(_ context.Context, deviceID string) (map[string]int64, error) {
	return l[deviceID], nil
}

// inspecting is a process with the section ids.
type inspecting struct {
	*process
	ids    *ids.Service
	loaded loaded
}

func newInspecting(t *testing.T) inspecting {
	t.Helper()
	p, _ := newProcess(t)
	said := loaded{}
	return inspecting{p, ids.New(ids.DefaultConfig(), ids.Deps{Configuration: p.config, Devices: p.fleet, Loaded: said}), said}
}

const pingRule = `alert icmp any any -> $HOME_NET any (msg:"ping"; itype:8; classtype:attempted-recon; sid:1000001; rev:1;)`

func faultOf(t *testing.T, err error) *fault.Error {
	t.Helper()
	f, ok := fault.As(err)
	if !ok {
		t.Fatalf("%v is no fault", err)
	}
	return f
}

func TestIDSConfig(t *testing.T) {
	p := newInspecting(t)
	device := p.register(t, "a", "edge").Id
	factory := &ngfwv1.IDSConfig{Mode: proto.String("detect"), UpdateInterval: proto.Int64(86400), FailOpen: proto.Bool(true)}
	got, err := p.ids.ReadIDSConfig(as("a"), &ngfwv1.IDSConfigRequest{DeviceId: device})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(factory, got, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	want := &ngfwv1.IDSConfig{
		Enabled: true, Mode: proto.String("ips"), Interfaces: []string{"lan0"}, HomeNetworks: []string{"10.0.0.0/8", "fd00::/8"},
		Variables: map[string]string{"HTTP_PORTS": "[80,8080]"}, AlertThreshold: 60, FailOpen: proto.Bool(false), UpdateInterval: proto.Int64(3600),
		Sources: []*ngfwv1.IDSSource{{Name: "local", File: proto.String("/var/lib/rules/local.rules")}},
	}
	if _, err := p.ids.UpdateIDSConfig(as("a"), &ngfwv1.UpdateIDSConfigRequest{DeviceId: device, Config: want}); err != nil {
		t.Fatal(err)
	}
	want.Mode, want.Sources[0].Enabled = proto.String("prevent"), proto.Bool(true)
	if got, err = p.ids.ReadIDSConfig(as("a"), &ngfwv1.IDSConfigRequest{DeviceId: device}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	version := p.version(t, device)
	for field, c := range map[string]*ngfwv1.IDSConfig{
		"mode":                 {Mode: proto.String("watch")},
		"update_interval":      {UpdateInterval: proto.Int64(1)},
		"home_networks[1]":     {HomeNetworks: []string{"10.0.0.0/8", "home"}},
		"variables.HTTP_PORTS": {Variables: map[string]string{"HTTP_PORTS": "eighty"}},
		"sources[0].sha256":    {Sources: []*ngfwv1.IDSSource{{Name: "a", Url: proto.String("http://rules.example/")}}},
	} {
		_, err := p.ids.UpdateIDSConfig(as("a"), &ngfwv1.UpdateIDSConfigRequest{DeviceId: device, Config: c})
		if f := faultOf(t, err); f.Code != fault.InvalidConfig || f.Field() != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := p.ids.ReadIDSConfig(as("b"), &ngfwv1.IDSConfigRequest{DeviceId: device}); faultOf(t, err).Code != fault.Forbidden {
		t.Error(err)
	}
	if p.version(t, device) != version {
		t.Error("what was refused has made a version")
	}
}

func TestIDSCategories(t *testing.T) {
	p := newInspecting(t)
	device := p.register(t, "a", "edge").Id
	p.loaded[device] = map[string]int64{"malware": 12345}
	list, err := p.ids.ListIDSCategories(as("a"), &ngfwv1.ListIDSCategoriesRequest{DeviceId: device})
	if err != nil {
		t.Fatal(err)
	}
	first := list.Categories[0]
	if len(list.Categories) != 8 || first.Id != "malware" || first.RuleCount != 12345 || first.GetMode() != "detect" || !first.GetEnabled() || first.Description == "" {
		t.Errorf("%v", list)
	}
	for _, tt := range []struct {
		want    *ngfwv1.IDSCategory
		mode    string
		enabled bool
		field   string
	}{
		{&ngfwv1.IDSCategory{Mode: proto.String("prevent")}, "prevent", true, ""},
		{&ngfwv1.IDSCategory{Mode: proto.String("disabled")}, "disabled", false, ""},
		{&ngfwv1.IDSCategory{Enabled: proto.Bool(true)}, "detect", true, ""},
		{&ngfwv1.IDSCategory{Enabled: proto.Bool(false), Mode: proto.String("prevent")}, "disabled", false, ""},
		{&ngfwv1.IDSCategory{Enabled: proto.Bool(true), Mode: proto.String("disabled")}, "", false, "enabled"},
		{&ngfwv1.IDSCategory{Mode: proto.String("x")}, "", false, "mode"},
		{nil, "", false, "mode"},
	} {
		got, err := p.ids.UpdateIDSCategory(as("a"), &ngfwv1.UpdateIDSCategoryRequest{DeviceId: device, Id: "dos", Category: tt.want})
		if tt.field != "" {
			if f := faultOf(t, err); f.Field() != tt.field {
				t.Errorf("%v: %v", tt.want, err)
			}
			continue
		}
		if err != nil || got.GetMode() != tt.mode || got.GetEnabled() != tt.enabled {
			t.Errorf("%v: %v, %v", tt.want, got, err)
		}
	}
	if _, err := p.ids.UpdateIDSCategory(as("a"), &ngfwv1.UpdateIDSCategoryRequest{DeviceId: device, Id: "x"}); faultOf(t, err).Code != fault.NotFound {
		t.Error(err)
	}
}

func TestIDSRules(t *testing.T) {
	p := newInspecting(t)
	device := p.register(t, "a", "edge").Id
	create := func(ctx context.Context, r *ngfwv1.IDSRule) (*ngfwv1.IDSRule, error) {
		return p.ids.CreateIDSRule(ctx, &ngfwv1.CreateIDSRuleRequest{DeviceId: device, Rule: r})
	}
	made, err := create(as("a"), &ngfwv1.IDSRule{Rule: pingRule})
	if err != nil {
		t.Fatal(err)
	}
	want := &ngfwv1.IDSRule{Id: 1, Name: "ping", Rule: pingRule, Enabled: proto.Bool(true), Category: proto.String("reconnaissance"), Sid: 1000001}
	if d := cmp.Diff(want, made, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	for _, tt := range []struct{ rule, said string }{
		{"", "is required"},
		{pingRule, "sid 1000001 is that of rule 1"},
		{`alert tcp any any -> any any (msg:"a"; contnet:"b"; sid:1;)`, "1:40: "},
		{`alert tcp $NO_SUCH any -> any any (msg:"a"; sid:1;)`, "NO_SUCH"},
	} {
		_, err := create(as("a"), &ngfwv1.IDSRule{Name: "x", Rule: tt.rule})
		if f := faultOf(t, err); f.Code != fault.InvalidConfig || f.Field() != "rule" || !strings.Contains(f.Message, tt.said) {
			t.Errorf("%q: %v", tt.rule, err)
		}
	}
	pro := func() context.Context {
		c, _ := identity.From(as("a"))
		c.Plan = "pro"
		return identity.With(context.Background(), c)
	}
	for i := range 9 {
		if _, err := create(pro(), &ngfwv1.IDSRule{Rule: strings.ReplaceAll(pingRule, "1000001", "200000"+string(rune('0'+i)))}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = create(pro(), &ngfwv1.IDSRule{Rule: strings.ReplaceAll(pingRule, "1000001", "3000000")})
	if f := faultOf(t, err); f.Code != fault.PlanLimit || !strings.Contains(f.Message, "10 custom rules") {
		t.Error(err)
	}
	if _, err := p.ids.DeleteIDSRule(as("a"), &ngfwv1.DeleteIDSRuleRequest{DeviceId: device, Id: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ids.DeleteIDSRule(as("a"), &ngfwv1.DeleteIDSRuleRequest{DeviceId: device, Id: 1}); faultOf(t, err).Code != fault.NotFound {
		t.Error(err)
	}
	if made, err = create(as("a"), &ngfwv1.IDSRule{Rule: pingRule}); err != nil || made.Id != 11 {
		t.Errorf("an id was given out twice: %v, %v", made, err)
	}
}

func TestIDSSuppressions(t *testing.T) {
	p := newInspecting(t)
	device := p.register(t, "a", "edge").Id
	create := func(x *ngfwv1.IDSSuppression) (*ngfwv1.IDSSuppression, error) {
		return p.ids.CreateIDSSuppression(as("a"), &ngfwv1.CreateIDSSuppressionRequest{DeviceId: device, Suppression: x})
	}
	made, err := create(&ngfwv1.IDSSuppression{Sid: 2100498, Track: proto.String("by_src"), Ip: proto.String("10.0.0.0/8"), Reason: proto.String("scanner")})
	if err != nil || made.Id != 1 || made.GetGid() != 1 || made.CreatedAt == 0 {
		t.Fatalf("%v, %v", made, err)
	}
	for field, x := range map[string]*ngfwv1.IDSSuppression{
		"sid":   {},
		"track": {Sid: 1, Ip: proto.String("10.0.0.1")},
		"ip":    {Sid: 1, Track: proto.String("by_dst"), Ip: proto.String("host")},
	} {
		_, err := create(x)
		if f := faultOf(t, err); f.Field() != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	list, err := p.ids.ListIDSSuppressions(as("a"), &ngfwv1.ListIDSSuppressionsRequest{DeviceId: device})
	if err != nil || len(list.Suppressions) != 1 || list.Suppressions[0].GetReason() != "scanner" {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := p.ids.DeleteIDSSuppression(as("a"), &ngfwv1.DeleteIDSSuppressionRequest{DeviceId: device, Id: 1}); err != nil {
		t.Error(err)
	}
}

// TestAnIDSSectionIsBounded: what a router could not receive is not stored.
func TestAnIDSSectionIsBounded(t *testing.T) {
	p := newInspecting(t)
	device := p.register(t, "a", "edge").Id
	networks := make([]string, 900)
	for i := range networks {
		networks[i] = "10.0.0.0/8"
	}
	config := &ngfwv1.IDSConfig{Variables: map[string]string{}}
	long := "[" + strings.Repeat("8080,", 2000) + "80]"
	for i := range 500 {
		config.Variables[fmt.Sprintf("V%d_PORTS", i)] = long
	}
	_, err := p.ids.UpdateIDSConfig(as("a"), &ngfwv1.UpdateIDSConfigRequest{DeviceId: device, Config: config})
	if f := faultOf(t, err); f.Code != fault.PayloadTooLarge {
		t.Errorf("%v", err)
	}
	config.Variables = map[string]string{"V_PORTS": long}
	config.HomeNetworks = networks
	if _, err := p.ids.UpdateIDSConfig(as("a"), &ngfwv1.UpdateIDSConfigRequest{DeviceId: device, Config: config}); err != nil {
		t.Error(err)
	}
}
