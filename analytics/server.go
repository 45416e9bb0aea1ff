package analytics

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
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
	if err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+"`"+strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(db.cfg.Database)+"`"); err != nil {
		return fmt.Errorf("make the database %s: %w", db.cfg.Database, err)
	}
	return nil
}
