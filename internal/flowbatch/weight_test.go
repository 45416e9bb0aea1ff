package flowbatch

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// A megabyte of empty messages took a hundred of memory.
func TestDenseMessagesAreRefused(t *testing.T) {
	batch := []byte(strings.Repeat("\x22\x00", 500_000)) // alerts
	var nested []byte
	for range 300 {
		list := append(append([]byte{0x0a}, length(len(nested))...), nested...)
		nested = append(append([]byte{0x32}, length(len(list))...), list...)
	}
	for name, c := range map[string]struct {
		data []byte
		into proto.Message
	}{
		"alerts":            {append(append([]byte{0x72}, length(len(batch))...), batch...), &ngfwv1.AgentMessage{}},
		"policies":          {[]byte(strings.Repeat("\x12\x00", 500_000)), &ngfwv1.UpdatePoliciesRequest{}},
		"empty objects":     {[]byte(strings.Repeat("\x0a\x02\x2a\x00", 250_000)), &structpb.ListValue{}},
		"lists in a list":   {nested, &structpb.Value{}},
		"groups, so called": {[]byte("\x13\x14"), &ngfwv1.UpdatePoliciesRequest{}},
	} {
		if err := Check(c.data, c.into); err == nil {
			t.Errorf("%s: %d bytes are read", name, len(c.data))
		}
	}
	if err := Unmarshal(append(append([]byte{0x72}, length(len(batch))...), batch...), &ngfwv1.AgentMessage{}); err == nil {
		t.Error("a dense batch is read")
	}
}

func length(n int) (out []byte) {
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(out, byte(n))
}

// What routers and callers send passes, also where it is all parts.
func TestMessagesOfPartsAreRead(t *testing.T) {
	b := &ngfwv1.FlowBatch{Epoch: "e", Number: 1}
	queries := &ngfwv1.FlowBatch{Epoch: "e", Number: 1}
	metrics := &ngfwv1.Metrics{Interfaces: map[string]*ngfwv1.Metrics_Rates{}}
	var rules []any
	for i := range 10_000 {
		b.Alerts = append(b.Alerts, &ngfwv1.AlertEvent{TimeNs: 1, Severity: 1, SourceIp: []byte{10, 0, 0, 1}, DestinationIp: []byte{10, 0, 0, 2}, Metadata: map[string]string{"a": "", "b": "c"}})
		queries.Queries = append(queries.Queries, &ngfwv1.QueryEvent{TimeNs: 1, Domain: "a", Status: 1})
		metrics.Rules = append(metrics.Rules, &ngfwv1.RuleCounter{RuleId: int64(i + 1), Hits: 1})
		metrics.Interfaces[fmt.Sprint(i)] = &ngfwv1.Metrics_Rates{}
		rules = append(rules, map[string]any{"name": "r", "enabled": true, "log": false, "port": "80", "icmp_types": []any{1, 2, true}, "schedule": map[string]any{}})
	}
	policy, err := structpb.NewStruct(map[string]any{"rules": rules})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []proto.Message{
		batchMessage(b), batchMessage(queries), &ngfwv1.AgentMessage{Payload: &ngfwv1.AgentMessage_Metrics{Metrics: metrics}},
		&ngfwv1.CheckRequest{Policy: policy}, &ngfwv1.AgentMessage{Id: "p", Payload: &ngfwv1.AgentMessage_Ping{Ping: &ngfwv1.Ping{}}},
		&ngfwv1.OrderRulesRequest{RuleIds: make([]int64, 100_000)},
	} {
		if err := Check(wire(t, m), m); err != nil {
			t.Errorf("%T of %d bytes: %v", m, proto.Size(m), err)
		}
	}
	if err := Check(bytes.Repeat([]byte{0xff}, 100), &ngfwv1.AgentMessage{}); err != nil {
		t.Errorf("what is malformed is not for Check: %v", err)
	}
}
