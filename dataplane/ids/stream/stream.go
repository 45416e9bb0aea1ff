// Package stream owns TCP connections: their state, and putting the bytes of each
// direction in order as the receiver would.
//
// A Session is told of each packet and keeps, for each direction, what has arrived and was
// not yet taken. Two consumers take bytes, at their own pace: the application's parser
// (App) and the rules that look at a stream (Raw).
//
// In detection mode bytes count once the receiver has acknowledged them, and
// overlapping segments are resolved as the receiver's operating system would
// (Suricata manual, host-os-policy). Inline, a segment counts as soon as it is
// in order, the first bytes of an overlap win, and the packet is changed to hold them, so that
// the receiver sees what was inspected.
//
// Nothing here reads a clock, allocates without bound, or panics on what peers
// send. A Session is for one goroutine.
package stream

import "net/netip"

// Config is how connections are followed. Its keys in suricata.yaml are those
// below stream.
type Config struct {
	// Inline: see the package's documentation.
	Inline bool
	// Midstream takes up connections whose handshake was not seen.
	Midstream bool
	// AsyncOneside follows connections of which only one side is seen.
	AsyncOneside bool
	// Depth is how many bytes of a direction are put in order; 0: all.
	Depth uint64
	// Chunks are how many bytes rules on streams wait for, by direction.
	Chunks [2]int
	// MaxSyns and MaxSynAcks bound how many different ones are remembered
	// in a handshake.
	MaxSyns, MaxSynAcks int
	// Urgent is what is done with urgent data.
	Urgent Urgent
	// Policy is that of a receiver.
	Policy func(netip.Addr) Policy
	// Memory bounds the bytes held by all sessions that share a Budget.
	Memory int
	// MaxSpans bounds the segments that one direction keeps.
	MaxSpans int
}

// Urgent is what is done with a byte of urgent data.
type Urgent uint8

const (
	UrgentOutOfBand Urgent = iota // it is no part of the stream
	UrgentInline                  // it is
	UrgentDrop                    // the packet is dropped (inline), else as out of band
	UrgentGap                     // the stream has a gap there
)

// DefaultConfig is that of a stock suricata.yaml.
func DefaultConfig() Config {
	return Config{
		Depth: 1 << 20, Chunks: [2]int{2560, 2560}, MaxSyns: 10, MaxSynAcks: 5, Memory: 256 << 20, MaxSpans: 16384,
		Policy: func(a netip.Addr) Policy {
			if a.Is4() {
				return Windows
			}
			return BSD
		},
	}
}

// Budget counts what sessions hold, and what happened to them. It is for the
// same goroutine as they.
type Budget struct {
	Bytes    int
	Counters Counters
	rooms    rooms
	spare    []*Session
}

// Counters count what happened.
type Counters struct {
	Sessions, Midstream, Resets         uint64
	Segments, Overlaps, DifferentData   uint64
	Gaps, GapBytes                      uint64
	MemoryRefused, InvalidChecksum      uint64
	MemoryFull                          uint64 // of MemoryRefused, for want of memory
	OutOfWindow, Retransmitted, Invalid uint64
}

// seq comparisons are modulo 2^32 (RFC 9293, section 3.4).
func before(a, b uint32) bool     { return int32(a-b) < 0 }
func beforeOrAt(a, b uint32) bool { return int32(a-b) <= 0 }
func seqMax(a, b uint32) uint32 {
	if before(a, b) {
		return b
	}
	return a
}
