package inspect

import (
	"ngfw.sh/config/ids"
	matcher "ngfw.sh/dataplane/ids"
)

// engineConfig is how the matcher follows a section's flows.
func engineConfig(doc ids.Document) matcher.Config {
	c := matcher.DefaultConfig()
	c.Flows.Elephant = matcher.Elephant{Bytes: 1 << 30, Seconds: 10} // as the stock suricata.yaml suggests
	c.Inline = doc.Mode == ids.Prevent
	c.Stream.Inline = c.Inline
	// The kernel has looked at checksums, or not finished them yet.
	c.Packet.Checksums = false
	// Flows are met in the middle: after a restart, or when inspection begins.
	c.Stream.Midstream = true
	c.EncryptionBypass, c.StreamBypass = true, true
	c.Exceptions = exceptions(doc)
	return c
}

// exceptions are what happens to flows that cannot be inspected. Where nothing is
// prevented, what still can be looked at is. Where it is, fail_open decides, as it does
// of packets that find no matcher: a parser that gives up, and a stream that
// memory does not hold, let their flow pass or end it.
//
// A flow met in the middle is no exception, or each restart would cost all connections.
// Failing open, what is oldest makes room for new flows and fragments, which
// leaves most inspected; failing closed, new ones wait, since who can fill a table could else
// have a flow forgotten in the midst of an attack.
func exceptions(doc ids.Document) matcher.Exceptions {
	switch {
	case doc.Mode != ids.Prevent:
		return matcher.Exceptions{}
	case doc.FailOpen:
		return matcher.Exceptions{AppError: matcher.PassFlow, StreamMemory: matcher.PassFlow}
	}
	return matcher.Exceptions{
		AppError: matcher.DropFlow, StreamMemory: matcher.DropFlow, FlowMemory: matcher.DropPacket, Fragments: matcher.DropPacket,
	}
}
