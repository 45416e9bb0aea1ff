package inspect

import "sync/atomic"

// counts are what all workers of a section have done since the agent started. Workers add to
// them, anybody reads.
type counts struct {
	inspected         atomic.Uint64 // bytes of TCP streams that rules have looked at
	bypassed, blocked atomic.Uint64 // flows that have left the matcher for good
}
