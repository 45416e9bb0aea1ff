package ids

import (
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/defrag"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/stream"
)

// Config is how packets are followed. Rules are apart: see Compile of package detect.
type Config struct {
	// Inline: packets wait for the verdict, and drop means it.
	Inline bool
	Packet packet.Config
	Defrag defrag.Config
	Stream stream.Config
	Limits app.Limits
	// Protocols are those that are looked for and parsed.
	Protocols app.Choice
	Flows     FlowConfig
	State     detect.StateConfig
	// DropInvalid drops, inline, what does not fit its connection.
	DropInvalid bool
	// Exceptions say what happens to traffic that cannot be inspected.
	Exceptions Exceptions
	// EncryptionBypass lets flows leave inspection once they are encrypted
	// (app-layer.protocols.tls.encryption-handling: bypass).
	EncryptionBypass bool
	// StreamBypass does the same when the depth is reached (stream.bypass).
	StreamBypass bool
	// VLANTracking keeps flows of different VLANs apart.
	VLANTracking bool
	// GuessTransactions says that alerts of packets may be told with the only open
	// transaction.
	GuessTransactions bool
}

// FlowConfig bounds the flow table. Times are in nanoseconds.
type FlowConfig struct {
	Max      int
	Timeouts map[Class]Timeouts
	// Elephant is when a flow is one: see flow.elephant.
	Elephant Elephant
}

// Class is a kind of flows with timeouts of its own.
type Class uint8

const (
	OtherFlow Class = iota
	TCPFlow
	UDPFlow
	ICMPFlow
	classes
)

// Timeouts are how long a flow may be silent, by its state.
type Timeouts struct{ New, Established, Closed, Bypassed int64 }

// Policy is what happens to traffic that cannot be inspected (manual, "Exception Policies").
type Policy uint8

const (
	Ignore Policy = iota // go on as well as may be
	DropFlow
	DropPacket
	PassFlow
	PassPacket
	Bypass
	Reject
)

var policyNames = [...]string{"ignore", "drop-flow", "drop-packet", "pass-flow", "pass-packet", "bypass", "reject"}

func (p Policy) String() string { return policyNames[p] }

// ParsePolicy finds a policy by its name.
func ParsePolicy(name string) (Policy, bool) {
	for i, n := range policyNames {
		if n == name {
			return Policy(i), true
		}
	}
	return 0, false
}

// Exceptions are policies by cause.
type Exceptions struct {
	Midstream    Policy // a connection whose handshake was not seen
	AppError     Policy // a parser gave up
	StreamMemory Policy
	FlowMemory   Policy
	Fragments    Policy
}

// DefaultConfig is that of a stock suricata.yaml.
func DefaultConfig() Config {
	const second = 1e9
	return Config{
		Packet: packet.DefaultConfig(), Defrag: defrag.DefaultConfig(), Stream: stream.DefaultConfig(),
		Flows: FlowConfig{
			Max: 1 << 18,
			Timeouts: map[Class]Timeouts{
				OtherFlow: {30 * second, 300 * second, 0, 100 * second},
				TCPFlow:   {60 * second, 600 * second, 60 * second, 100 * second},
				UDPFlow:   {30 * second, 300 * second, 0, 100 * second},
				ICMPFlow:  {30 * second, 300 * second, 0, 100 * second},
			},
		},
		State:       detect.DefaultStateConfig(),
		DropInvalid: true, VLANTracking: true,
	}
}
