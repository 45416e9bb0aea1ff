package ids

import (
	"sync/atomic"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// Log is told what happened. Its methods are called by workers, each from its own
// goroutine; what they are given is valid until they return.
type Log interface {
	Alert(*Alert)
	Drop(*Drop)
	// Tagged is a packet that a rule which matched before wants to be told (manual, "Tag").
	Tagged(*packet.Packet, *Flow, app.Direction)
	Transaction(*Flow, app.Transaction)
	File(*Flow, app.Transaction, app.Direction, *app.File)
	Flow(f *Flow, reason string)
	Anomaly(*Anomaly)
}

// Alert is a match that is told.
type Alert struct {
	Packet    *packet.Packet
	Flow      *Flow // nil where the packet is of none
	Direction app.Direction
	Match     *detect.Match
	// Blocked: the packet is dropped, inline.
	Blocked bool
	// Stream is the reassembled data that was matched on, or nil.
	Stream []byte
	// Transaction is the one matched on, or the only one, or nil.
	Transaction app.Transaction
}

// Drop is a packet that is dropped, inline.
type Drop struct {
	Packet    *packet.Packet
	Flow      *Flow
	Direction app.Direction
	Reason    string
	Match     *detect.Match // of the rule that dropped it, or nil
}

// Anomaly is an event that no rule asks for.
type Anomaly struct {
	Packet      *packet.Packet // nil of kind applayer
	Flow        *Flow          // nil where the packet is of none
	Kind        string         // decode, stream, applayer
	Event       string
	Protocol    rule.Protocol   // 0: not known
	Transaction app.Transaction // nil where the event is of none
}

// Deps are what an Engine uses.
type Deps struct {
	Log Log // may be nil
	// Panicked is told of panics that were caught; may be nil.
	Panicked func(what string)
}

// Engine is what workers share.
type Engine struct {
	cfg  Config
	deps Deps
	set  atomic.Pointer[detect.Set]
	// state outlives sets of rules.
	state *detect.State
}

// New makes an engine without rules.
func New(cfg Config, deps Deps) *Engine {
	return &Engine{cfg: cfg, deps: deps, state: detect.NewState(cfg.State)}
}

// Use puts rules in force, from each worker's next packet on.
func (e *Engine) Use(set *detect.Set) { e.set.Store(set) }

// State is what is remembered beside flows.
func (e *Engine) State() *detect.State { return e.state }

// Set is the rules in force.
func (e *Engine) Set() *detect.Set { return e.set.Load() }
