// Package detect owns the decision: which rules match a packet, the stream it
// continues and the transactions it advances.
//
// Compile makes a Set of rules, immutable and shared; a Worker evaluates it,
// one to a goroutine, without allocating in steady state. What must be remembered
// between packets is in Flow (flowbits, what has matched) and in State
// (thresholds, host and address-pair bits, datasets), which workers share.
package detect

import (
	"ngfw.sh/dataplane/ids/app"
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
	Start         int64     // nanoseconds since 1970
	Protocol      rule.Protocol
	ProtocolKnown bool             // Protocol is set, for both directions or one
	ProtocolOf    [2]rule.Protocol // by direction; 0 if not found there
	Failed        [2]bool          // detection of the protocol has given up
	Original      rule.Protocol    // before an upgrade

	// Detection's own.
	memory
}

// Match is a rule that matched.
type Match struct {
	Rule *rule.Rule
	// Tell says that it is to be alerted: not by noalert, not held back by a threshold.
	Tell bool
	// Transaction is the one it matched on, or nil.
	Transaction app.Transaction
	// OnStream says that it matched in reassembled data.
	OnStream bool
}
