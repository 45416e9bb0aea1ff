package flowbatch

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Tags of link.proto: number and wire type of a field.
const (
	messageID    = 1<<3 | uint64(protowire.BytesType)
	messageBatch = 14<<3 | uint64(protowire.BytesType)

	batchEpoch  = 1<<3 | uint64(protowire.BytesType)
	batchNumber = 2<<3 | uint64(protowire.VarintType)
	batchEvents = 3<<3 | uint64(protowire.BytesType)
)

// Unmarshal reads a message of a router, as proto.Unmarshal does, but refuses what
// Check does. The flow events of a batch stay bytes, a copy of those in data.
func Unmarshal(data []byte, m *ngfwv1.AgentMessage) error {
	id, b := batchOf(data)
	if b == nil {
		if err := Check(data, m); err != nil {
			return err
		}
		return proto.Unmarshal(data, m)
	}
	proto.Reset(m)
	m.Id, m.Payload = id, &ngfwv1.AgentMessage_FlowBatch{FlowBatch: b}
	return nil
}

// batchOf takes a message apart that is one batch of flow events and nothing else.
// Of any other, valid or not, it makes nil.
func batchOf(data []byte) (id string, b *ngfwv1.FlowBatch) {
	var body []byte
	for len(data) > 0 {
		tag, v, n := field(data)
		switch {
		case n < 0:
			return "", nil
		case tag == messageID && utf8.Valid(v):
			id = string(v)
		case tag == messageBatch && body == nil && len(v) > 0:
			body = v
		default:
			return "", nil
		}
		data = data[n:]
	}
	if body == nil {
		return "", nil
	}
	b = &ngfwv1.FlowBatch{}
	events := make([]byte, 0, len(body))
	for len(body) > 0 {
		tag, v, n := field(body)
		switch {
		case n < 0:
			return "", nil
		case tag == batchEpoch && utf8.Valid(v):
			b.Epoch = string(v)
		case tag == batchNumber:
			b.Number, _ = protowire.ConsumeVarint(v)
		case tag == batchEvents:
			events = append(events, body[:n]...)
		default:
			return "", nil
		}
		body = body[n:]
	}
	if len(events) == 0 {
		return "", nil
	}
	b.ProtoReflect().SetUnknown(events)
	return id, b
}

// field takes the first field apart: its tag, its value (of a length-delimited one
// what is in it), and how long all of it is; less than 0 if it is malformed.
func field(data []byte) (tag uint64, value []byte, n int) {
	num, typ, k := protowire.ConsumeTag(data)
	if k < 0 {
		return 0, nil, k
	}
	m := protowire.ConsumeFieldValue(num, typ, data[k:])
	if m < 0 {
		return 0, nil, m
	}
	value = data[k : k+m]
	if typ == protowire.BytesType {
		value, _ = protowire.ConsumeBytes(value)
	}
	return protowire.EncodeTag(num, typ), value, k + m
}
