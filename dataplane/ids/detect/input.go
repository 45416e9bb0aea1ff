package detect

import (
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// Input is a packet and what it has brought.
type Input struct {
	Packet *packet.Packet
	// Flow is nil for a packet of no flow (broken, or a fragment).
	Flow *Flow
	// Direction is that of the packet in its flow.
	Direction app.Direction
	// Stream is reassembled data of the packet's flow and direction that has not been
	// inspected, with as much before it as is kept to find a match across the border
	// (the first Old bytes). StreamOffset is the place of its first byte.
	Stream       []byte
	Old          int
	StreamOffset uint64
	// StreamEnd says that no more will come in this direction.
	StreamEnd bool
	// InStream says that the packet's payload is part of the stream (in order, not a retransmission
	// or outside the window), so that rules on streams see it there.
	InStream bool
	// StreamEvents are what the stream engine found odd about this packet.
	StreamEvents *packet.Events
	// Transactions are those that advanced in either direction since the last Input.
	Transactions []app.Transaction
	// Frames are those that were completed in either direction since the last Input.
	Frames []tx.Frame
}

// Flow is what the engine tells of a flow, and what detection remembers of it. Its
// zero value is that of a new one.
type Flow struct {
	// The engine keeps these.
	Established   bool // TCP: handshake seen, or midstream; UDP: both sides have sent
	ClientToLow   bool // unused by rules; the side with the lower address is the client
	Packets       [2]uint64
	Bytes         [2]uint64
	StreamBytes   [2]uint64 // of TCP, as stream_size counts them
	Elephant      [2]bool   // sends much, by direction: see ids.Elephant
	Start         int64     // nanoseconds since 1970
	Protocol      rule.Protocol
	ProtocolKnown bool             // Protocol is set, for both directions or one
	ProtocolOf    [2]rule.Protocol // by direction; 0 if not found there
	Failed        [2]bool          // detection of the protocol has given up
	Original      rule.Protocol    // before an upgrade
	// What protocol detection found odd (manual, "app-layer-event").
	WrongDirection  bool // data that only the other side sends first came first
	NoTLSAfterStart bool // STARTTLS was agreed on, and no TLS followed
	Unexpected      bool // a protocol other than the one that was asked for followed

	// Detection's own.
	memory
}

// Match is a rule that matched.
type Match struct {
	Rule *rule.Rule
	// Action is the rule's, or the one that a rate filter put in its place.
	Action rule.Action
	// Tell says that it is to be alerted: not by noalert, not held back by a threshold.
	Tell bool
	// Transaction is the one it matched on, or nil.
	Transaction app.Transaction
	// TxDirection is that of what matched in the transaction.
	TxDirection app.Direction
	// OnStream says that it matched in reassembled data.
	OnStream bool
	// Context is what sets in JSON say of the members that were found (manual, "dataset with json").
	Context []Enrichment
	// OnFlow says that a pass, drop or reject is about the whole flow, not about this packet alone.
	OnFlow bool
}
