package analytics

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ngfw.sh/internal/fault"
)

// oldestServer is the first release whose SQL and settings the schema uses.
const oldestServer = 25

// openServer refuses a server that is too old and makes the database.
func (db *DB) openServer(ctx context.Context) error {
	// The configured database may not be there yet, so without it.
	options := clickhouse.Options{Addr: db.cfg.Addresses, Auth: clickhouse.Auth{Username: db.cfg.Username, Password: string(db.cfg.Password)}}
	if db.cfg.Protocol == "http" {
		options.Protocol = clickhouse.HTTP
	}
	if db.cfg.TLS {
		options.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	conn, err := clickhouse.Open(&options)
	if err != nil {
		return fmt.Errorf("analytics: %w", err)
	}
	defer conn.Close()
	v, err := conn.ServerVersion()
	if err != nil {
		return fmt.Errorf("connect to ClickHouse at %v: %w", db.cfg.Addresses, err)
	}
	if v.Version.Major < oldestServer {
		return fmt.Errorf("the ClickHouse server at %v is %s: %d.1 or newer is needed", db.cfg.Addresses, v.Version, oldestServer)
	}
	if db.cfg.Cluster != "" {
		return nil // whoever makes the tables makes it, on all nodes
	}
	if err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+quoteName(db.cfg.Database)); err != nil {
		return fmt.Errorf("make the database %s: %w", db.cfg.Database, err)
	}
	return nil
}

// awaitEnd waits, after an insert that lost its answer, until the server does
// not run it any more: only then does the table say whether it is stored. The
// embedded engine runs nothing whose answer can get lost while it lives.
func (db *DB) awaitEnd(ctx context.Context, queryID string, err error) {
	var ex *clickhouse.Exception
	if db.cfg.Engine != Server || errors.As(err, &ex) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		var n uint64
		err := db.conn.QueryRow(ctx, "SELECT count() FROM "+db.everyReplica("system", "processes")+" WHERE initial_query_id = {id:String}", named("id", queryID)).Scan(&n)
		if err == nil && n == 0 {
			return
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// insertsEnd is how long awaitInserts waits.
const insertsEnd = time.Minute

// awaitInserts waits until the inserts that a server runs now have ended. One of them
// may be of a process that was killed and hold batches of a router that is now here:
// read before its end, the table would not show them, and they would come twice. What
// is begun later is no such insert.
func (db *DB) awaitInserts(ctx context.Context) error {
	if db.cfg.Engine != Server {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, insertsEnd, errStillInserting)
	defer cancel()
	processes := db.everyReplica("system", "processes")
	var running []string
	err := db.conn.QueryRow(ctx, "SELECT groupUniqArray(initial_query_id) FROM "+processes+" WHERE query_kind = 'Insert' AND current_database = {database:String}", named("database", db.cfg.Database)).Scan(&running)
	for wait := 10 * time.Millisecond; err == nil && len(running) > 0; wait = min(2*wait, time.Second) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		err = db.conn.QueryRow(ctx, "SELECT groupUniqArray(initial_query_id) FROM "+processes+" WHERE query_kind = 'Insert' AND has({ids:Array(String)}, initial_query_id)", named("ids", running)).Scan(&running)
	}
	if cause := context.Cause(ctx); errors.Is(cause, errStillInserting) {
		return cause
	}
	return err
}

var errStillInserting = fault.New(fault.Unavailable, "the ClickHouse server still runs inserts from before: what is stored is not known yet")
