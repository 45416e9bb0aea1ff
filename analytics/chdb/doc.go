// Package chdb owns the ClickHouse engine that runs on this machine: the
// library libchdb, loaded without cgo, behind an http.RoundTripper that
// clickhouse-go takes for a server's HTTP interface, so that schema, SQL and
// driver are the same embedded and on a cluster.
//
// In production the engine is a child process (Process starts, watches and
// restarts it; Serve is what the child does), because a crash or an
// out-of-memory of the engine must not take the API with it. Tests open an
// Engine in their own process.
//
// Invariants: a process serves one data directory for its life, and a data
// directory belongs to one process at a time (held by a lock). The directory
// carries the version that wrote it; a newer one is refused.
//
// Everything is safe for concurrent use. Statements beyond Config.Connections
// wait. A statement ends when its context does: the engine is told to kill it.
//
// The transport is for one trusted client. It knows no users, no compression,
// no external tables, and refuses what it does not know.
package chdb
