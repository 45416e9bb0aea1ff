package analytics

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"ngfw.sh/analytics/chdb"
	"ngfw.sh/internal/fault"
)

// DB is the flow store. Make it with New, let Run run; until that has opened
// the engine, and while it is down, everything answers fault.Unavailable.
type DB struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	conn    driver.Conn
	process *chdb.Process // nil: a server, or an engine in this process
	metrics *metrics
	places  Places // nil: nothing is known

	live       *hub[row]
	liveAlerts *hub[alert]
	writer     *writer
	remembered *remembered // nil: others may insert, too
	reach      *reach

	exports *exports
	ready   chan struct{} // closed when the schema is there
	devices sync.Map      // device id → *device
}

// New prepares a DB and touches nothing outside.
func New(cfg Config, deps Deps) (*DB, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	db := &DB{cfg: cfg, log: deps.Log, now: deps.Now, places: deps.Places, reach: newReach(), exports: newExports(cfg.Exports), ready: make(chan struct{})}
	if db.log == nil {
		db.log = slog.Default()
	}
	if db.now == nil {
		db.now = time.Now
	}
	options := &clickhouse.Options{
		Addr:         cfg.Addresses,
		Auth:         clickhouse.Auth{Username: cfg.Username, Password: string(cfg.Password)},
		MaxOpenConns: 64, MaxIdleConns: 16, ConnMaxLifetime: time.Hour,
		DialTimeout: 10 * time.Second,
		ReadTimeout: 10 * time.Minute, // an insert is waited for; queries have their context
		Settings: clickhouse.Settings{
			"async_insert": 0, // an answer must mean that the rows are stored
			// A batch is one block is one part.
			"max_insert_block_size": 1 << 22, "min_insert_block_size_rows": 1 << 22, "min_insert_block_size_bytes": 1 << 30,
			// Small new parts need no skip indexes; merging makes them.
			"materialize_skip_indexes_on_insert": 0,
		},
	}
	switch {
	case cfg.Engine == Server:
		options.Auth.Database = cfg.Database
		if cfg.Protocol == "http" {
			options.Protocol = clickhouse.HTTP
		}
		if cfg.Cluster != "" {
			maps.Copy(options.Settings, clusterSettings)
		}
		if cfg.TLS {
			options.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	case deps.Engine != nil:
		embed(options, deps.Engine)
		options.Auth.Database = cfg.Database
	default:
		p, err := newProcess(cfg, deps, db.log)
		if err != nil {
			return nil, err
		}
		db.process = p
		embed(options, p)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("analytics: %w", err)
	}
	db.conn = conn
	db.metrics = newMetrics(db, deps.Metrics)
	db.live = newFlowHub(cfg, db.now, db.metrics, db.entry, deps.JSON)
	db.liveAlerts = newAlertHub(cfg, db.now, db.metrics)
	db.writer = newWriter(db)
	if cfg.Engine == Embedded {
		db.remembered = newRemembered(cfg.RememberedBytes, newIngested())
	}
	return db, nil
}

// embed points the driver at an engine without a network address.
func embed(o *clickhouse.Options, rt http.RoundTripper) {
	o.Protocol, o.Addr = clickhouse.HTTP, []string{"engine:80"}
	o.Auth = clickhouse.Auth{}
	o.TransportFunc = func(*http.Transport) (http.RoundTripper, error) { return rt, nil }
}

func newProcess(cfg Config, deps Deps, log *slog.Logger) (*chdb.Process, error) {
	command := deps.EngineCommand
	if command == nil {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program to start the engine with: %w", err)
		}
		command = []string{self, "engine"}
	}
	c := chdb.DefaultConfig()
	c.Library, c.MaxMemory = cfg.Library, cfg.MaxMemory
	if cfg.DataDir == "" {
		return nil, errors.New("analytics.data_dir: must be set for the embedded engine")
	}
	c.DataDir = filepath.Clean(cfg.DataDir)
	return chdb.NewProcess(c, command, log)
}

// Run opens the engine, brings the schema up to date and serves until ctx ends.
// It fails when the engine cannot be opened; a crash later is repaired.
func (db *DB) Run(ctx context.Context) error {
	defer db.conn.Close()
	// The engine outlives ctx until the last insert has its answer.
	engine, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	if db.process != nil {
		go func() { ended <- db.process.Run(engine) }()
	} else {
		ended <- nil
	}
	err := db.open(ctx, ended)
	if err == nil {
		close(db.ready)
		db.log.Info("analytics are ready", "engine", db.cfg.Engine)
		db.writer.run(ctx) // until ctx ends and what was taken is answered
		db.live.close()
		db.liveAlerts.close()
	}
	stop()
	return errors.Join(err, <-ended)
}

// open waits for the engine and migrates.
func (db *DB) open(ctx context.Context, ended chan error) error {
	if db.process != nil {
		up := make(chan error, 1)
		wait, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() { up <- db.process.Ready(wait) }()
		select {
		case err := <-ended: // before it was up
			ended <- nil
			return err
		case err := <-up:
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
	if db.cfg.Engine == Server {
		if err := db.openServer(ctx); err != nil {
			return err
		}
	} else if err := db.conn.Exec(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("open the ClickHouse engine: %w", err)
	}
	return db.migrate(ctx)
}

// Ready waits until the DB can be used.
func (db *DB) Ready(ctx context.Context) error {
	select {
	case <-db.ready:
		return nil
	case <-ctx.Done():
		return errors.Join(db.down(), ctx.Err())
	}
}

// down is nil while the DB can be used, else a fault that says why not.
func (db *DB) down() error {
	if db.process != nil {
		if err := db.process.State(); err != nil {
			return fault.New(fault.Unavailable, "flow analytics are unavailable: the database engine is starting").Because(err)
		}
	}
	select {
	case <-db.ready:
		return nil
	default:
		return fault.New(fault.Unavailable, "flow analytics are unavailable: the database is being opened")
	}
}

// Health asks the engine for one value.
func (db *DB) Health(ctx context.Context) error {
	if err := db.down(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return db.explain(db.conn.Ping(ctx))
}

// EngineRestarts counts how often the embedded engine had to be started again.
func (db *DB) EngineRestarts() int64 {
	if db.process == nil {
		return 0
	}
	return db.process.Restarts()
}

func named(name string, value any) driver.NamedValue { return clickhouse.Named(name, value) }
