package cloud

import (
	"log/slog"
	"path/filepath"
)

// Config is the whole of the service's configuration: the file's keys, which
// flags of the command may override.
type Config struct {
	Listen     string `yaml:"listen"`      // REST, streams, dashboard
	GRPCListen string `yaml:"grpc_listen"` // routers and the gRPC API, with TLS
	DataDir    string `yaml:"data_dir"`
	Issuer     string `yaml:"issuer"`      // claim "iss" of access tokens
	ConnectURL string `yaml:"connect_url"` // where routers are told to connect; empty: grpcs:// and grpc_listen

	TLS            TLS       `yaml:"tls"`
	CORSOrigins    []string  `yaml:"cors_origins"`    // that browsers may call from: https://host[:port], or *
	TrustedProxies []string  `yaml:"trusted_proxies"` // prefixes whose X-Forwarded-For is believed
	Log            Log       `yaml:"log"`
	MetricsToken   Secret    `yaml:"metrics_token"` // bearer token of /metrics; empty: open
	GeoIP          string    `yaml:"geoip"`         // database of countries (MMDB): for rows whose router named none, and analyses of rules with geo:; empty: those are refused
	GeoIPASN       string    `yaml:"geoip_asn"`     // database of autonomous systems (MMDB)
	MACVendors     string    `yaml:"mac_vendors"`   // the IEEE's registry of MAC addresses: its oui.csv, or a directory of such files
	Analytics      Analytics `yaml:"analytics"`
	Limits         Limits    `yaml:"limits"`
}

// TLS is of the gRPC listener. Without files a certificate is made of an
// authority in the data directory, for Names besides localhost and the listen
// address.
type TLS struct {
	Cert  string   `yaml:"cert"`
	Key   string   `yaml:"key"`
	Names []string `yaml:"names"`
}

// Log says what is logged to standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// Analytics is where flows go.
type Analytics struct {
	Engine    string   `yaml:"engine"`    // embedded, server
	Library   string   `yaml:"library"`   // of the embedded engine; empty: NGFW_CHDB_LIB, then the cache
	Addresses []string `yaml:"addresses"` // host:port of ClickHouse servers
	Protocol  string   `yaml:"protocol"`  // of servers: native, http
	TLS       bool     `yaml:"tls"`       // to servers
	Database  string   `yaml:"database"`
	Username  string   `yaml:"username"`
	Password  Secret   `yaml:"password"`
	Cluster   string   `yaml:"cluster"` // whose tables `analytics schema` has made; empty: one server
}

// Limits bound what callers may take.
type Limits struct {
	Requests         int   `yaml:"requests_per_minute"`     // per token and endpoint
	LogRequests      int   `yaml:"log_requests_per_minute"` // of the traffic log
	Logins           int   `yaml:"logins_per_minute"`       // per address
	Streams          int   `yaml:"streams_per_user"`
	BodyBytes        int64 `yaml:"body_bytes"`
	ConcurrentLogins int   `yaml:"concurrent_logins"` // hashes computed at once, 12 MiB each
	TokensPerUser    int   `yaml:"tokens_per_user"`
}

// DefaultConfig is a service for one machine, reached over loopback.
func DefaultConfig() Config {
	return Config{
		Listen:     "127.0.0.1:8080",
		GRPCListen: "127.0.0.1:9090",
		DataDir:    "/var/lib/ngfw-cloud",
		Issuer:     "urn:ngfw:cloud",
		Log:        Log{Level: "info", Format: "text"},
		Analytics:  Analytics{Engine: "embedded", Protocol: "native", Database: "ngfw", Username: "default"},
		Limits: Limits{Requests: 120, LogRequests: 60, Logins: 10, Streams: 5, BodyBytes: 1 << 20,
			ConcurrentLogins: 1, TokensPerUser: 100},
	}
}

// path names a file of the data directory.
func (c Config) path(name string) string { return filepath.Join(c.DataDir, name) }

// Secret is text that does not print itself.
type Secret string

const hidden = "<hidden>"

func (s Secret) String() string               { return hidden }
func (s Secret) GoString() string             { return hidden }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
