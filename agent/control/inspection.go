package control

// Inspection is what the matcher does. Its counters are since the agent started.
type Inspection struct {
	Mode           string         `json:"mode"` // off, detect, prevent
	FailOpen       bool           `json:"fail_open"`
	Rules          int            `json:"rules"`
	RefusedRules   int            `json:"refused_rules"` // left out, because they are not understood
	Queues         []MatcherQueue `json:"queues"`
	InspectedBytes uint64         `json:"inspected_bytes"` // of TCP streams, each once
	FlowsBypassed  uint64         `json:"flows_bypassed"`  // that need no more inspection
	FlowsBlocked   uint64         `json:"flows_blocked"`
}

// MatcherQueue is one queue of the kernel's.
type MatcherQueue struct {
	Number        string `json:"number"`
	Bound         bool   `json:"bound"` // somebody takes its packets
	Packets       uint64 `json:"packets"`
	Bytes         uint64 `json:"bytes"`
	Dropped       uint64 `json:"dropped"`        // by the matcher
	Waiting       uint64 `json:"waiting"`        // now
	Missed        uint64 `json:"missed"`         // that found the socket full
	QueueDropped  uint64 `json:"queue_dropped"`  // by the kernel: the queue was full
	SocketDropped uint64 `json:"socket_dropped"` // by the kernel: the socket was full
}
