package analytics

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"ngfw.sh/analytics/chdb"
)

// The test binary is its own engine process, `x.test engine --data-dir …`, and
// one that stores rows, `x.test store DIR`.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "store" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := serveStore(ctx, os.Args[2])
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		cfg, err := chdb.ParseArgs(os.Args[2:])
		if err == nil {
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
			err = chdb.Serve(ctx, cfg)
			stop()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if shared.engine != nil {
		shared.engine.Close()
	}
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

func needLibrary(t testing.TB) {
	t.Helper()
	_, err := chdb.Locate("")
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip("SKIPPED: ", err)
}

// A process can have one engine; tests share it and have a database each.
var shared struct {
	sync.Once
	dir    string
	engine *chdb.Engine
	err    error
}

var databases atomic.Int64

// testClock is a clock that a test can set.
type testClock struct{ at atomic.Int64 }

func newTestClock() *testClock {
	c := &testClock{}
	c.set(time.Now())
	return c
}
func (c *testClock) set(t time.Time) { c.at.Store(t.UnixNano()) }
func (c *testClock) now() time.Time  { return time.Unix(0, c.at.Load()) }

// openTest opens a database of its own in the shared engine.
func openTest(t testing.TB, change func(*Config, *Deps)) *DB {
	t.Helper()
	return openTestOver(t, nil, change)
}

// openTestOver opens a database that statements have filled before.
func openTestOver(t testing.TB, statements []string, change func(*Config, *Deps)) *DB {
	t.Helper()
	needLibrary(t)
	shared.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "ngfw-analytics-"); shared.err == nil {
			cfg := chdb.DefaultConfig()
			cfg.DataDir, cfg.ConfigFile = filepath.Join(shared.dir, "data"), filepath.Join(shared.dir, "cluster.xml")
			if shared.err = os.WriteFile(cfg.ConfigFile, []byte(clusterOfOne), 0o600); shared.err == nil {
				shared.engine, shared.err = chdb.Open(cfg)
			}
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	cfg := DefaultConfig()
	cfg.Database = fmt.Sprintf("t%d", databases.Add(1))
	deps := Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Metrics: prometheus.NewRegistry(), Engine: shared.engine}
	if change != nil {
		change(&cfg, &deps)
	}
	admin, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{"engine:80"},
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) { return shared.engine, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	if err := admin.Exec(t.Context(), "CREATE DATABASE "+cfg.Database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Exec(context.Background(), "DROP DATABASE "+cfg.Database) })
	if clustered {
		cfg.Cluster = testCluster
		for _, sql := range Schema(cfg.Database, cfg.Cluster) {
			statements = append(statements, onOneNode(sql))
		}
	}
	if len(statements) > 0 {
		inside, err := clickhouse.Open(&clickhouse.Options{
			Protocol: clickhouse.HTTP, Addr: []string{"engine:80"}, Auth: clickhouse.Auth{Database: cfg.Database},
			TransportFunc: func(*http.Transport) (http.RoundTripper, error) { return shared.engine, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer inside.Close()
		for _, sql := range statements {
			if err := inside.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%.80s: %v", sql, err)
			}
		}
	}
	if wire {
		srv := httptest.NewServer(shared.engine)
		t.Cleanup(srv.Close)
		cfg.Engine, cfg.Protocol, cfg.Addresses, deps.Engine = Server, "http", []string{srv.Listener.Addr().String()}, nil
	}
	return runTest(t, cfg, deps)
}

// engineFor is what a further DB on a test's database answers from.
func engineFor() http.RoundTripper {
	if wire {
		return nil
	}
	return shared.engine
}

// wire makes openTest take the engine for a server: the suite over HTTP.
var wire bool

// overTheWire are the tests of the suite that are the same for any engine.
var overTheWire = map[string]func(*testing.T){
	"every field": TestLogShowsEveryField, "pages": TestPagesAreStableUnderInserts, "total": TestTotal,
	"retention": TestRetentionHidesRowsAtOnce, "top clients": TestTopClients, "rankings": TestRankings, "statistics": TestStats, "export": TestExport, "find": TestFind, "poisoned rows": TestPoisonedRowsAreSetAside,
	"alerts": TestAlertShowsEveryField, "alert filters": TestAlertFilter, "alerts beside flows": TestAlertsAreStoredOnceBesideFlows,
	"filters": TestFilterMeansTheSameInGoAndSQL, "many devices": TestManyDevices, "recorded": TestRecorded,
}

func TestOverTheWire(t *testing.T) {
	wire = true
	defer func() { wire = false }()
	for name, test := range overTheWire {
		t.Run(name, test)
	}
}

// runTest runs a DB until the test ends.
func runTest(t testing.TB, cfg Config, deps Deps) *DB {
	t.Helper()
	db, stop := startTest(t, cfg, deps)
	t.Cleanup(stop)
	return db
}

func startTest(t testing.TB, cfg Config, deps Deps) (*DB, func()) {
	t.Helper()
	db, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	ready := make(chan error, 1)
	go func() { ready <- db.Ready(ctx) }()
	select {
	case err := <-ended:
		cancel()
		t.Fatal(err)
	case <-ready:
	}
	return db, sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// text finds words in an error.
func text(err error, words ...string) bool {
	if err == nil {
		return false
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			return false
		}
	}
	return true
}

// count reads a counter.
func count(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
