// Package detect owns the decision: which rules match a packet, the stream it
// continues and the transactions it advances.
//
// Compile makes a Set of rules, immutable and shared; a Worker evaluates it,
// one to a goroutine, without allocating in steady state. What must be remembered
// between packets is in Flow (flowbits, what has matched) and in State
// (thresholds, host and address-pair bits, datasets), which workers share.
//
// # How a rule is found and evaluated
//
// Rules are of five kinds (manual, "Rule Types and Categorization"): those about addresses
// alone, evaluated once a flow and direction; those about the detected protocol,
// once it is; those about packets and streams; those about transactions; those about frames.
//
// A rule with a fast pattern is evaluated when the search over all of them
// (package mpm) finds it in its buffer, others by port. What a rule of
// transactions has found so far is kept until the transaction ends, so that its buffers may
// come one after another; it matches once a transaction and direction. Rules are
// evaluated in an order that lets pass come before drop before alert, and what sets
// a bit before what checks it.
//
// Within a buffer, matches are tried in the order of the text. Where one that is
// relative fails, an earlier one is looked for further on; one that is not relative
// is final, as in Suricata. The work for one buffer and rule is bounded
// (Config.Recursion).
//
// # Invariants
//
// With and without prefilter the same rules match (Config.NoPrefilter is the slow
// reference). A rule that cannot be compiled is reported and left out. Names of bits
// have numbers that hold for the process, so that flows keep their bits when
// the rules change. Nothing here does I/O: files that rules name are read by
// Config.Open.
package detect
