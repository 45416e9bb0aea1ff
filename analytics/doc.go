// Package analytics owns the record of what routers saw: flow events in
// ClickHouse, their ingest, the questions asked of them, and the live stream.
//
// The way of a row: Store takes a batch from a router, fans its rows out to the
// subscribers of the organisation at once, and returns when ClickHouse has
// answered. A batch is named by device, spool epoch and number; it is inserted
// whole, in one block into one partition, or not at all. What is stored is read
// from the table itself, so it is true after a crash at any moment: a batch that
// is there already is acknowledged without an insert.
//
// The way of a question: rankings and statistics are summed from roll-ups per
// minute, hour and day (rollup), and from rows where the span begins or ends
// within one (pieces). A question with a filter beyond the router, which
// roll-ups do not know, is answered from rows; Source says which it was.
//
// Invariants: every query goes through one builder (where) that puts the
// organisation in, binds every value as a parameter, and hides rows past their
// retention. The filter of a live stream and the filter of the log are the same
// LogQuery, once as SQL and once as Go; a test holds them equal. A roll-up lies
// in the part of its rows, so it is never anything but their sum; a test holds
// that through kills of the engine.
//
// A DB is safe for concurrent use. The batches of one device must be handed over
// in their order, one after the other; devices are independent of each other.
// With the embedded engine exactly one process may use a data directory; with a
// server any number may. A server's schema is made by Run, a cluster's by its
// owner with what Schema says (cluster.go); Run checks it.
//
// It does not check who may see a device: callers do, before they ask.
package analytics
