package analytics

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/analytics/chdb"
)

// The engines.
const (
	Embedded = "embedded" // in a child process, data in DataDir
	Server   = "server"   // a ClickHouse server or cluster
)

// Config says where the rows live and how much may be spent on them.
type Config struct {
	Engine string `yaml:"engine"`

	// Embedded.
	DataDir   string `yaml:"data_dir"`
	Library   string `yaml:"library"`    // libchdb.so; "" looks as chdb.Locate says
	MaxMemory int64  `yaml:"max_memory"` // bytes of the engine process

	// Server, 25.1 or newer.
	Addresses []string `yaml:"addresses"` // host:port
	Protocol  string   `yaml:"protocol"`  // native or http
	Database  string   `yaml:"database"`  // made if it is not there
	Username  string   `yaml:"username"`
	Password  Secret   `yaml:"password"`
	TLS       bool     `yaml:"tls"`
	Cluster   string   `yaml:"cluster"` // whose tables Schema has made; "": one server

	QueryTimeout  time.Duration `yaml:"query_timeout"`
	ExportTimeout time.Duration `yaml:"export_timeout"`
	Exports       int           `yaml:"exports"`     // at a time; one organisation has half of them
	InsertRows    int           `yaml:"insert_rows"` // of waiting batches, put into one insert
	Inserts       int           `yaml:"inserts"`     // at a time
	QueuedRows    int           `yaml:"queued_rows"` // beyond it routers wait, and spool
	LiveRows      int           `yaml:"live_rows"`   // kept to resume live streams from
	LiveAlerts    int           `yaml:"live_alerts"` // the same of alerts
	LiveBuffer    int           `yaml:"live_buffer"` // rows a slow reader may lag behind

	// RememberedBytes bounds the answers about times that are over which are kept
	// to be told again. Of a server nothing is kept: others may insert, too.
	RememberedBytes int `yaml:"remembered_bytes"`
}

// Secret cannot print itself.
type Secret string

func (Secret) String() string   { return "<secret>" }
func (Secret) GoString() string { return "<secret>" }

// LogValue keeps it out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("<secret>") }

// DefaultConfig is the embedded engine; DataDir must be set.
func DefaultConfig() Config {
	return Config{
		Engine: Embedded, MaxMemory: chdb.DefaultConfig().MaxMemory,
		Protocol: "native", Database: "ngfw", Username: "default",
		QueryTimeout: 15 * time.Second, ExportTimeout: 30 * time.Minute, Exports: 4,
		// One at a time, so that what waits meanwhile goes into the next: a part of
		// twice the rows costs the engine fewer roll-ups and merges.
		InsertRows: 1 << 16, Inserts: 1, QueuedRows: 100_000,
		LiveRows: 50_000, LiveAlerts: 5000, LiveBuffer: 16_384,
		RememberedBytes: 32 << 20,
	}
}

// Places tells of addresses what routers do not. Of what is not known it tells "", or
// number 0. It is asked for every row, by many goroutines.
type Places interface {
	Country(netip.Addr) string // ISO 3166 code, kept with a row whose router named none
	AS(netip.Addr) (number uint32, name string)
	Vendor(mac string) string // whose card it is
}

// Deps is what a DB works with.
type Deps struct {
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: none
	Now     func() time.Time      // nil: time.Now
	Places  Places                // nil: nothing is known

	// JSON writes a row as live streams show it, once for all their readers. nil:
	// frames carry messages.
	JSON func(proto.Message) []byte

	// EngineCommand starts the engine process: a program and its first
	// arguments; those that chdb.ParseArgs reads follow. nil: this program with
	// the command "engine".
	EngineCommand []string

	// Engine, if not nil, answers instead of a child process: an engine that the
	// caller opened in this process, for tests and tools.
	Engine http.RoundTripper
}

func (c Config) validate() error {
	switch c.Engine {
	case Embedded:
		if c.Cluster != "" {
			return errors.New("analytics.cluster: is of engine server")
		}
	case Server:
		if len(c.Addresses) == 0 {
			return errors.New("analytics.addresses: a ClickHouse server must be named (host:port)")
		}
		if c.Protocol != "native" && c.Protocol != "http" {
			return fmt.Errorf("analytics.protocol %q: must be native or http", c.Protocol)
		}
		if c.Database == "" {
			return errors.New("analytics.database: must not be empty")
		}
	default:
		return fmt.Errorf("analytics.engine %q: must be %s or %s", c.Engine, Embedded, Server)
	}
	for name, n := range map[string]int{
		"insert_rows": c.InsertRows, "inserts": c.Inserts, "queued_rows": c.QueuedRows,
		"live_rows": c.LiveRows, "live_alerts": c.LiveAlerts, "live_buffer": c.LiveBuffer, "remembered_bytes": c.RememberedBytes, "query_timeout": int(c.QueryTimeout),
		"export_timeout": int(c.ExportTimeout), "exports": c.Exports,
	} {
		if n <= 0 {
			return fmt.Errorf("analytics.%s: must be positive", name)
		}
	}
	return nil
}
