package chdb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
)

// The test binary is its own engine process: `x.test engine --data-dir …`.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		cfg, err := ParseArgs(os.Args[2:])
		if err == nil {
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
			err = Serve(ctx, cfg)
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
		os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// needLibrary skips where the engine is not installed, except where tests must
// not be skipped.
func needLibrary(t testing.TB) {
	t.Helper()
	_, err := Locate("")
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip("SKIPPED: ", err)
}

var shared struct {
	sync.Once
	dir    string
	engine *Engine
	err    error
}

// testEngine is the one engine that this process can have.
func testEngine(t testing.TB) *Engine {
	t.Helper()
	needLibrary(t)
	shared.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "ngfw-chdb-"); shared.err != nil {
			return
		}
		cfg := DefaultConfig()
		cfg.DataDir = shared.dir
		shared.engine, shared.err = Open(cfg)
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.engine
}

func dial(t testing.TB, rt http.RoundTripper) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol:      clickhouse.HTTP,
		Addr:          []string{"engine:80"},
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) { return rt, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// driverSuite is what the driver must find, whatever carries its requests.
func driverSuite(t *testing.T, rt http.RoundTripper) {
	conn, ctx := dial(t, rt), t.Context()
	exec := func(sql string, args ...any) {
		t.Helper()
		if err := conn.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Ping(ctx); err != nil {
		t.Fatal("ping: ", err)
	}
	exec("DROP TABLE IF EXISTS suite")
	exec(`CREATE TABLE suite (n UInt64, s String, l LowCardinality(String), a IPv6, t DateTime64(6, 'UTC'))
		ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100`)

	insert := func(ctx context.Context) error {
		b, err := conn.PrepareBatch(ctx, "INSERT INTO suite")
		if err != nil {
			return err
		}
		for i := range 1000 {
			if err := b.Append(uint64(i), fmt.Sprintf("row \x00 %d", i), "même", "2001:db8::1", time.Unix(int64(i), 0)); err != nil {
				return err
			}
		}
		return b.Send()
	}
	t.Run("a deduplication token makes one insert of two", func(t *testing.T) {
		for range 2 {
			if err := insert(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": "a"}))); err != nil {
				t.Fatal(err)
			}
		}
		if err := insert(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": "b"}))); err != nil {
			t.Fatal(err)
		}
		var n uint64
		if err := conn.QueryRow(ctx, "SELECT count() FROM suite").Scan(&n); err != nil || n != 2000 {
			t.Fatalf("rows %d, %v, want 2000", n, err)
		}
	})
	t.Run("parameters are values, never text", func(t *testing.T) {
		for _, v := range []string{"", "'", "\\", "\\'", "a\tb\nc\x00d", "') OR 1=1 --", "{p:String}", "ünï", strings.Repeat("x", 100_000)} {
			var out string
			var list []string
			row := conn.QueryRow(ctx, "SELECT {p:String}, {l:Array(String)}", clickhouse.Named("p", v), clickhouse.Named("l", []string{v, v}))
			if err := row.Scan(&out, &list); err != nil {
				t.Fatalf("%.40q: %v", v, err)
			}
			if out != v || !cmp.Equal(list, []string{v, v}) {
				t.Errorf("%.40q came back as %.40q, %.80q", v, out, list)
			}
		}
	})
	t.Run("errors are typed", func(t *testing.T) {
		var ex *clickhouse.Exception
		if err := conn.Exec(ctx, "SELECT * FROM nosuch"); !errors.As(err, &ex) || ex.Code != 60 {
			t.Errorf("unknown table: %v", err)
		}
		if err := conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"nosuch": 1})), "SELECT 1"); !errors.As(err, &ex) || ex.Code != 115 {
			t.Errorf("unknown setting: %v", err)
		}
		rows, err := conn.Query(ctx, "SELECT throwIf(number = 900000, 'late') FROM numbers(1000000)")
		if err == nil {
			for rows.Next() {
			}
			err = rows.Err()
			rows.Close()
		}
		if !errors.As(err, &ex) || ex.Code != 395 {
			t.Errorf("in the middle of a stream: %v", err)
		}
	})
	t.Run("settings hold for their statement alone", func(t *testing.T) {
		value := func(ctx context.Context) (v string) {
			if err := conn.QueryRow(ctx, "SELECT value FROM system.settings WHERE name = 'max_block_size'").Scan(&v); err != nil {
				t.Fatal(err)
			}
			return v
		}
		before := value(ctx)
		if got := value(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 777}))); got != "777" {
			t.Errorf("max_block_size %s, want 777", got)
		}
		if got := value(ctx); got != before {
			t.Errorf("max_block_size stayed %s, want %s", got, before)
		}
	})
	t.Run("a million rows stream", func(t *testing.T) {
		rows, err := conn.Query(ctx, "SELECT number FROM numbers(1000000)")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var sum, v uint64
		for rows.Next() {
			if err := rows.Scan(&v); err != nil {
				t.Fatal(err)
			}
			sum += v
		}
		if sum != 499999500000 || rows.Err() != nil {
			t.Errorf("sum %d, %v", sum, rows.Err())
		}
	})
	t.Run("no rows", func(t *testing.T) {
		rows, err := conn.Query(ctx, "SELECT n FROM suite WHERE n > 5000")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		if rows.Next() || rows.Err() != nil {
			t.Error("a row, or ", rows.Err())
		}
	})
	t.Run("a statement ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		begun := time.Now()
		err := conn.Exec(ctx, "SELECT sum(sipHash64(number)) FROM numbers(100000000000)")
		if err == nil || time.Since(begun) > 5*time.Second {
			t.Fatalf("%v after %v", err, time.Since(begun))
		}
		for deadline := time.Now().Add(10 * time.Second); ; {
			var n uint64
			if err := conn.QueryRow(t.Context(), "SELECT count() FROM system.processes WHERE query LIKE '%10000000' || '0000%' AND query NOT LIKE '%system.processes%'").Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the engine still runs it")
			}
		}
	})
	t.Run("many at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				var n uint64
				if err := conn.QueryRow(ctx, "SELECT sum(number) FROM numbers({n:UInt64})", clickhouse.Named("n", uint64(i))).Scan(&n); err != nil || n != uint64(i*(i-1)/2) {
					t.Errorf("%d: %d, %v", i, n, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestInProcess(t *testing.T) { driverSuite(t, testEngine(t)) }

func TestGoKeepsItsSignals(t *testing.T) {
	testEngine(t)
	defer func() {
		if recover() == nil {
			t.Error("a nil dereference was no panic")
		}
	}()
	var p *int
	*p = 1
}

func TestSecondDirectoryHolder(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the lock")
	}
	dir := t.TempDir()
	first, err := openDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	released := make(chan struct{})
	go func() {
		time.Sleep(200 * time.Millisecond) // the wait itself is under test
		first.close()
		close(released)
	}()
	second, err := openDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	<-released
	second.close()
}

func TestVersionFile(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"same", "1\n" + Version + "\n", ""},
		{"older engine", "1\n25.8.2-stable.1\n", ""},
		{"newer engine", "1\n26.7.4-stable.1\n", "26.7.4-stable.1"},
		{"newer engine, more digits", "1\n26.10.0\n", "newer ngfw-cloud"},
		{"newer layout", "2\n" + Version + "\n", "newer ngfw-cloud"},
		{"damaged", "what\n", "damaged"},
		{"empty", "", "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(dir+"/VERSION", []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			d, err := openDataDir(dir)
			if err == nil {
				d.close()
			}
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				text, _ := os.ReadFile(dir + "/VERSION")
				if want := "1\n" + Version + "\n"; string(text) != want {
					t.Errorf("VERSION %q, want %q", text, want)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want …%s…", err, c.want)
			}
		})
	}
}

func TestLocateNamesTheRemedy(t *testing.T) {
	t.Setenv("NGFW_CACHE", t.TempDir())
	t.Setenv(LibraryVariable, "")
	_, err := Locate("")
	if !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), "ClickHouse server") {
		t.Errorf("%v", err)
	}
}
