package wirejson_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestAppend(t *testing.T) {
	seen, name := int64(1703520000), "x"
	for want, m := range map[string]proto.Message{
		// 64-bit integers are numbers; absent optionals are null only where the option says so.
		`{"id":"d","name":"n","model":"","serial":"","firmware_version":"","status":"","last_seen":null,"created_at":9223372036854775807,"tags":[],"mode":"","time_zone":""}`: &ngfwv1.Device{Id: "d", Name: "n", CreatedAt: 9223372036854775807},
		`{"id":"d","status":"","last_seen":1703520000,"agent_version":"x","mode":""}`:                                                                                         &ngfwv1.DeviceStatus{Id: "d", LastSeen: &seen, AgentVersion: &name},
		`{"uptime":0,"cpu":0,"memory":0,"temperature":null,"load":[0.42,1,1703520000.125,100000000000000000000],"interfaces":[],"connections":0,"wan_ip":null,"firmware":""}`: &ngfwv1.SystemStatus{
			Load: []float64{0.42, 1, 1703520000.125, 1e20}},
		`{}`:                               &emptypb.Empty{},
		`{"a":[null,true,1.5,"x"],"b":{}}`: must(structpb.NewStruct(map[string]any{"a": []any{nil, true, 1.5, "x"}, "b": map[string]any{}})),
	} {
		if got := string(wirejson.Append(nil, m)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	// Map keys are sorted, texts are quoted as JSON wants and nothing more.
	d := &ngfwv1.Dataplane{Drops: map[string]int64{"b": 2, "a": 1, "\"\\\n\x01\u2028<é>": 3}}
	if got := string(wirejson.Append(nil, d)); !strings.Contains(got, `"drops":{"\"\\\n\u0001\u2028<é>":3,"a":1,"b":2}`) {
		t.Error(got)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestMarshalLists(t *testing.T) {
	for want, v := range map[string]any{
		"[]\n":                               []*ngfwv1.Zone(nil),
		`["a","b"]` + "\n":                   []string{"a", "b"},
		"[9007199254740993]\n":               []int64{9007199254740993},
		`[{"rx_rate":1,"tx_rate":0}]` + "\n": []*ngfwv1.Metrics_Rates{{RxRate: 1}},
	} {
		if got, err := (wirejson.Marshaler{}).Marshal(v); err != nil || string(got) != want {
			t.Errorf("%#v: %s, %v", v, got, err)
		}
	}
	if _, err := (wirejson.Marshaler{}).Marshal(3); err == nil {
		t.Error("a number is no body")
	}
}

func TestDecodeProblems(t *testing.T) {
	rule := func() proto.Message { return &ngfwv1.FirewallRule{} }
	for _, c := range []struct {
		in   string
		into func() proto.Message
		want []fault.Field // nil: malformed
		text string
	}{
		{in: `{"nme":"x"}`, into: rule, want: []fault.Field{{Path: "nme", Message: `unknown field "nme"; did you mean "name"?`}}},
		{in: `{"zzzzzzzz":"x"}`, into: rule, want: []fault.Field{{Path: "zzzzzzzz", Message: `unknown field "zzzzzzzz"`}}},
		{in: `{"foo":"x"}`, into: rule, want: []fault.Field{{Path: "foo", Message: `unknown field "foo"`}}},
		{in: `{"Name":"x"}`, into: rule, want: []fault.Field{{Path: "Name", Message: `unknown field "Name"; did you mean "name"?`}}},
		{in: `{"zoneFrom":"x"}`, into: rule, want: []fault.Field{{Path: "zoneFrom", Message: `unknown field "zoneFrom"; did you mean "zone_from"?`}}},
		{in: `{"name":1}`, into: rule, want: []fault.Field{{Path: "name", Message: "must be a string, not a number"}}},
		{in: `{"name":null}`, into: rule, want: []fault.Field{{Path: "name", Message: "must not be null"}}},
		{in: `{"log":"true"}`, into: rule, want: []fault.Field{{Path: "log", Message: "must be true or false, not a string"}}},
		{in: `{"schedule":[]}`, into: rule, want: []fault.Field{{Path: "schedule", Message: "must be an object, not an array"}}},
		{in: `{"schedule":{"start":5,"days":[0,"1",2.5,2147483648,-2147483649]}}`, into: rule, want: []fault.Field{
			{Path: "schedule.start", Message: "must be a string, not a number"},
			{Path: "schedule.days[1]", Message: "must be an integer, not a string"},
			{Path: "schedule.days[2]", Message: "2.5 is not an integer"},
			{Path: "schedule.days[3]", Message: "2147483648 is out of range"},
			{Path: "schedule.days[4]", Message: "-2147483649 is out of range"}}},
		{in: `{"name":"a","name":"b"}`, into: rule, want: []fault.Field{{Path: "name", Message: "given twice"}}},
		{in: `[]`, into: rule, want: []fault.Field{{Path: "", Message: "must be an object, not an array"}}},
		{in: `{"source_port":-1}`, into: func() proto.Message { return &ngfwv1.LogEntry{} }, want: []fault.Field{{Path: "source_port", Message: "-1 is out of range: it must not be negative"}}},
		{in: `{"timestamp":1e400}`, into: func() proto.Message { return &ngfwv1.LogEntry{} }, want: []fault.Field{{Path: "timestamp", Message: "1e400 is out of range"}}},
		{in: `{"interfaces":{"eth0":{"rx_rate":"1"},"eth0":{}}}`, into: func() proto.Message { return &ngfwv1.Metrics{} }, want: []fault.Field{
			{Path: "interfaces.eth0.rx_rate", Message: "must be an integer, not a string"}, {Path: "interfaces.eth0", Message: "given twice"}}},
		{in: `{"a":{"b":1,"b":2}}`, into: func() proto.Message { return &structpb.Struct{} }, want: []fault.Field{{Path: "a.b", Message: "given twice"}}},
		{in: `{"ping":{},"pong":{}}`, into: func() proto.Message { return &ngfwv1.AgentMessage{} }, want: []fault.Field{{Path: "pong", Message: `excludes "ping"`}}},
		{in: ``, into: rule, text: "line 1, column 1: the text ends"},
		{in: `{`, into: rule, text: "a member name in quotes"},
		{in: "{\n  \"name\": x}", into: rule, text: "line 2, column 11"},
		{in: `{"name":"a"} x`, into: rule, text: "text after the end"},
		{in: "{}\x00", into: rule, text: "where the end is expected"},
		{in: `{"name":"a",}`, into: rule, text: "a member name"},
		{in: `{"name":"\x"}`, into: rule, text: "unknown escape"},
		{in: `{"name":"\u0000"}`, into: rule, text: "U+0000"},
		{in: "{\"name\":\"\xff\"}", into: rule, text: "not UTF-8"},
		{in: "{\"name\":\"a\nb\"}", into: rule, text: "control character"},
		{in: `{"hits":` + strings.Repeat("[", 100), into: rule, text: "deeper than 64"},
		{in: `{"rule_ids":[01]}`, into: func() proto.Message { return &ngfwv1.OrderRulesRequest{} }, text: `"," or "]"`},
	} {
		err := wirejson.Options{}.Decode([]byte(c.in), c.into())
		f, ok := fault.As(err)
		if !ok || f.Code != fault.BadRequest {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if diff := cmp.Diff(c.want, f.Fields); diff != "" || !strings.Contains(f.Message, c.text) {
			t.Errorf("%s: %s %s", c.in, f.Message, diff)
		}
	}
}

func TestDecode(t *testing.T) {
	in := ` {"id":99,"hits":"anything","last_hit":{},"name":"\u00e9\ud83d\ude00\n\/","enabled":true,"source":null,"schedule":null,"icmp_types":["a"],"log":false} `
	got := &ngfwv1.FirewallRule{}
	if err := (wirejson.Options{}).Decode([]byte(in), got); err != nil {
		t.Fatal(err)
	}
	on := true
	want := &ngfwv1.FirewallRule{Name: "é😀\n/", Enabled: &on, IcmpTypes: []string{"a"}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	order := &ngfwv1.OrderRulesRequest{}
	if err := (wirejson.Options{}).Decode([]byte(`{"rule_ids":[1.0,2e2,-0,9223372036854775807]}`), order); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{1, 200, 0, 9223372036854775807}, order.GetRuleIds()); diff != "" {
		t.Error(diff)
	}
}

// Reading gives up after a bounded number of problems.
func TestDecodeBoundsProblems(t *testing.T) {
	err := wirejson.Options{}.Decode([]byte("{"+strings.Repeat(`"x":1,`, 1e5)+`"y":1}`), &ngfwv1.Zone{})
	f, _ := fault.As(err)
	if len(f.Fields) != 20 {
		t.Errorf("%d problems", len(f.Fields))
	}
}

func TestDecodeBody(t *testing.T) {
	var zone *ngfwv1.Zone
	var list []*ngfwv1.ZonePolicy
	if err := (wirejson.Options{}).DecodeBody([]byte(`{"name":"a"}`), &zone); err != nil || zone.GetName() != "a" {
		t.Errorf("%v, %v", zone, err)
	}
	if err := (wirejson.Options{}).DecodeBody([]byte(`[{"from":"a"},{}]`), &list); err != nil || len(list) != 2 || list[0].GetFrom() != "a" {
		t.Errorf("%v, %v", list, err)
	}
	if err := (wirejson.Options{}).DecodeBody([]byte(" "), &ngfwv1.LogoutRequest{}); err != nil {
		t.Errorf("an empty body for all fields: %v", err)
	}
	for in, v := range map[string]any{"": &zone, " ": &list, "[]": &zone, "{}": &list} {
		if err := (wirejson.Options{}).DecodeBody([]byte(in), v); !fault.Is(err, fault.BadRequest) {
			t.Errorf("%q into %T: %v", in, v, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `{"name":"a","schedule":{"days":[1,2]}}`, `{"id":1,"hits":null}`, `{"name":"\ud83d\ude00"}`, `[1]`, `{"a":{"b":[1e9,null,true]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, m := range []proto.Message{&ngfwv1.FirewallRule{}, &structpb.Struct{}, &ngfwv1.Metrics{}, &ngfwv1.AgentMessage{}} {
			err := wirejson.Options{KeepReadOnly: true}.Decode(in, m)
			if err != nil {
				if _, ok := fault.As(err); !ok {
					t.Fatalf("%q: an error that is no fault: %v", in, err)
				}
				continue
			}
			if !json.Valid(in) {
				t.Fatalf("accepted %q", in)
			}
			again := m.ProtoReflect().New().Interface()
			text := wirejson.Append(nil, m)
			if err := (wirejson.Options{KeepReadOnly: true}).Decode(text, again); err != nil || !proto.Equal(m, again) {
				t.Fatalf("%q became %s: %v", in, text, err)
			}
		}
	})
}
