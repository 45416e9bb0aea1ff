package flowbatch

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// full is an event that has every field there is.
func full() *ngfwv1.FlowEvent {
	e := &ngfwv1.FlowEvent{}
	m := e.ProtoReflect()
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		n := uint64(1000 + i)
		var v protoreflect.Value
		switch f.Kind() {
		case protoreflect.StringKind:
			v = protoreflect.ValueOfString(fmt.Sprint("name ", i))
		case protoreflect.BytesKind:
			v = protoreflect.ValueOfBytes([]byte{byte(i), 1, 2, 3})
		case protoreflect.BoolKind:
			v = protoreflect.ValueOfBool(true)
		case protoreflect.EnumKind:
			v = protoreflect.ValueOfEnum(2)
		case protoreflect.Uint32Kind:
			v = protoreflect.ValueOfUint32(uint32(n))
		case protoreflect.Int64Kind:
			v = protoreflect.ValueOfInt64(-int64(n))
		default: // uint64 and fixed64; Set refuses what is neither
			v = protoreflect.ValueOfUint64(n << 40)
		}
		m.Set(f, v)
	}
	return e
}

func wire(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func batchMessage(b *ngfwv1.FlowBatch) *ngfwv1.AgentMessage {
	return &ngfwv1.AgentMessage{Id: "m", Payload: &ngfwv1.AgentMessage_FlowBatch{FlowBatch: b}}
}

// read makes the events of a batch whole.
func read(b *ngfwv1.FlowBatch) []*ngfwv1.FlowEvent {
	var out []*ngfwv1.FlowEvent
	for e := range Events(b, &Names{}) {
		if e != nil {
			e = proto.Clone(e).(*ngfwv1.FlowEvent)
		}
		out = append(out, e)
	}
	return out
}

// TestBatchStaysWhatItWas reads a batch whose events have every field, and some
// or none of them.
func TestBatchStaysWhatItWas(t *testing.T) {
	b := &ngfwv1.FlowBatch{Epoch: "e", Number: 1 << 40, Events: []*ngfwv1.FlowEvent{full(), {}, {FlowId: 1, Hostname: "name 33"}, full()}}
	data := wire(t, batchMessage(b))
	var m ngfwv1.AgentMessage
	if err := Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	got := m.GetFlowBatch()
	if m.Id != "m" || got.Epoch != "e" || got.Number != 1<<40 || len(got.Events) != 0 || Rows(got) != 4 || Flows(got) != 4 {
		t.Errorf("%q, epoch %q, number %d, %d events read, %d rows", m.Id, got.Epoch, got.Number, len(got.Events), Rows(got))
	}
	if d := cmp.Diff(b.Events, read(got), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	if proto.Size(got) != proto.Size(b) || !bytes.Equal(wire(t, &m), data) {
		t.Error("it is not written as it was read")
	}
	if d := cmp.Diff(read(b), read(got), protocmp.Transform()); d != "" || Rows(b) != 4 {
		t.Errorf("%d rows of a batch made whole: %s", Rows(b), d)
	}
	clear(data)
	if d := cmp.Diff(b.Events, read(got), protocmp.Transform()); d != "" {
		t.Error("it reads what is not its own:", d)
	}
}

// TestNoEvent sets one aside that cannot be read.
func TestNoEvent(t *testing.T) {
	for name, bad := range map[string][]byte{
		"cut off":      {7<<3 | 2, 5, 'L'},
		"no text":      {7<<3 | 2, 1, 0xff},
		"no field":     {0, 1},
		"endless":      bytes.Repeat([]byte{0xff}, 11),
		"wrong ending": {8<<3 | 4},
	} {
		t.Run(name, func(t *testing.T) {
			var body []byte
			for _, e := range [][]byte{wire(t, full()), bad, wire(t, full())} {
				body = protowire.AppendBytes(protowire.AppendVarint(body, batchEvents), e)
			}
			data := protowire.AppendBytes(protowire.AppendVarint(nil, messageBatch), body)
			var m ngfwv1.AgentMessage
			if err := Unmarshal(data, &m); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]*ngfwv1.FlowEvent{full(), nil, full()}, read(m.GetFlowBatch()), protocmp.Transform()); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestOtherMessages are read by the protobuf runtime.
func TestOtherMessages(t *testing.T) {
	for name, want := range map[string]*ngfwv1.AgentMessage{
		"empty":       {},
		"ping":        {Id: "1", Payload: &ngfwv1.AgentMessage_Ping{Ping: &ngfwv1.Ping{Nonce: 5}}},
		"empty batch": batchMessage(&ngfwv1.FlowBatch{Epoch: "e", Number: 2}),
		"alerts":      batchMessage(&ngfwv1.FlowBatch{Epoch: "e", Number: 2, Alerts: []*ngfwv1.AlertEvent{{TimeNs: 1}}}),
		"two kinds":   batchMessage(&ngfwv1.FlowBatch{Epoch: "e", Number: 2, Events: []*ngfwv1.FlowEvent{full()}, Queries: []*ngfwv1.QueryEvent{{TimeNs: 1}}}),
	} {
		var m ngfwv1.AgentMessage
		if err := Unmarshal(wire(t, want), &m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, &m, protocmp.Transform()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for name, data := range map[string][]byte{"cut off": {10, 4, 'a'}, "no text": {10, 1, 0xff}} {
		if err := Unmarshal(data, &ngfwv1.AgentMessage{}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestNamesAreOne(t *testing.T) {
	var n Names
	for _, want := range []string{"", "a", "host-17", strings.Repeat("x", keptName), strings.Repeat("y", keptName+1), "漢"} {
		for range 2 {
			if got, ok := n.Of([]byte(want)); !ok || got != want {
				t.Errorf("%q became %q, %v", want, got, ok)
			}
		}
	}
	text := []byte("host-17")
	if made := testing.AllocsPerRun(100, func() { n.Of(text) }); made != 0 {
		t.Errorf("%v strings made of one that is known", made)
	}
	for _, bad := range []string{"\xff", strings.Repeat("\xc0", keptName+1)} {
		if got, ok := n.Of([]byte(bad)); ok {
			t.Errorf("%q is text", got)
		}
	}
}

// FuzzRead demands of every event what the protobuf runtime makes of it.
func FuzzRead(f *testing.F) {
	f.Add(wire(f, full()))
	f.Add(append(wire(f, full()), wire(f, &ngfwv1.FlowEvent{Hostname: "again", FlowId: 3, ClockUnset: true})...))
	f.Add([]byte{1<<3 | 3, 1<<3 | 4, 2<<3 | 5, 1, 2, 3, 4, 40<<3&0x7f | 0x80, 2, 1})
	var names Names
	f.Fuzz(func(t *testing.T, data []byte) {
		want := &ngfwv1.FlowEvent{}
		err := proto.Unmarshal(data, want)
		got := &ngfwv1.FlowEvent{}
		if ok := readEvent(got, data, &names); ok != (err == nil) {
			t.Fatalf("read: %v, the runtime: %v", ok, err)
		} else if !ok {
			return
		}
		want.ProtoReflect().SetUnknown(nil)
		if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
			t.Error(d)
		}
	})
}

// FuzzUnmarshal demands of every message what the protobuf runtime makes of it,
// but for events that cannot be read.
func FuzzUnmarshal(f *testing.F) {
	f.Add(wire(f, batchMessage(&ngfwv1.FlowBatch{Epoch: "e", Number: 2, Events: []*ngfwv1.FlowEvent{full(), {}}})))
	f.Add(wire(f, &ngfwv1.AgentMessage{Id: "1", Payload: &ngfwv1.AgentMessage_Ping{Ping: &ngfwv1.Ping{Nonce: 5}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, got := &ngfwv1.AgentMessage{}, &ngfwv1.AgentMessage{}
		err, own := proto.Unmarshal(data, want), Unmarshal(data, got)
		b := got.GetFlowBatch()
		if err != nil && own == nil && b != nil && slices.Contains(read(b), nil) {
			return
		}
		if (err == nil) != (own == nil) {
			t.Fatalf("read: %v, the runtime: %v", own, err)
		}
		if err != nil {
			return
		}
		if b != nil && len(b.ProtoReflect().GetUnknown()) > 0 && len(b.Events) == 0 {
			b.Events = read(b)
			for _, e := range want.GetFlowBatch().GetEvents() {
				e.ProtoReflect().SetUnknown(nil)
			}
			b.ProtoReflect().SetUnknown(nil)
			want.GetFlowBatch().ProtoReflect().SetUnknown(nil)
		}
		if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
			t.Error(d)
		}
	})
}

// BenchmarkRead is of a thousand events as the runtime makes them, and read.
func BenchmarkRead(b *testing.B) {
	batch := &ngfwv1.FlowBatch{Epoch: "e", Number: 1}
	for i := range 1000 {
		e := full()
		e.Hostname, e.FlowId = fmt.Sprint("host-", i%200), uint64(i)
		batch.Events = append(batch.Events, e)
	}
	data := wire(b, batchMessage(batch))
	b.Run("runtime", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(data, &ngfwv1.AgentMessage{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		var names Names
		for b.Loop() {
			m := &ngfwv1.AgentMessage{}
			if err := Unmarshal(data, m); err != nil {
				b.Fatal(err)
			}
			for e := range Events(m.GetFlowBatch(), &names) {
				if e == nil {
					b.Fatal("not read")
				}
			}
		}
	})
}
