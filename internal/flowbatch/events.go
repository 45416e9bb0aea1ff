package flowbatch

import (
	"iter"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Rows counts the rows of a batch, whatever their kind.
func Rows(b *ngfwv1.FlowBatch) int { return Flows(b) + len(b.Alerts) + len(b.Queries) }

// Flows counts the flow events of a batch.
func Flows(b *ngfwv1.FlowBatch) int {
	n := len(b.Events)
	for range unread(b) {
		n++
	}
	return n
}

// Events are the flow events of a batch, in their order; nil stands for one that
// cannot be read. One that was left as bytes is good until the next: what it holds
// of addresses lies in the batch, its strings are those of names.
func Events(b *ngfwv1.FlowBatch, names *Names) iter.Seq[*ngfwv1.FlowEvent] {
	return func(yield func(*ngfwv1.FlowEvent) bool) {
		for _, e := range b.Events {
			if !yield(e) {
				return
			}
		}
		var e *ngfwv1.FlowEvent
		for data := range unread(b) {
			if e == nil {
				e = &ngfwv1.FlowEvent{}
			}
			e.Reset()
			read := e
			if !readEvent(e, data, names) {
				read = nil
			}
			if !yield(read) {
				return
			}
		}
	}
}

// unread are the events of a batch that Unmarshal left as they were.
func unread(b *ngfwv1.FlowBatch) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rest := []byte(b.ProtoReflect().GetUnknown())
		for len(rest) > 0 {
			tag, v, n := field(rest)
			if n < 0 {
				return
			}
			if tag == batchEvents && !yield(v) {
				return
			}
			rest = rest[n:]
		}
	}
}
