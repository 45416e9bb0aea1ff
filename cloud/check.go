package cloud

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"ngfw.sh/cloud/tlsca"
)

// Check says what is wrong with the values, all of it at once; file, which may
// be nil, tells the lines. It reads the certificate files, looks for that of countries, and does nothing else.
func (c Config) Check(file *File) error {
	var found Problems
	add := func(key, format string, args ...any) {
		found = append(found, file.place(Problem{Key: key, Message: fmt.Sprintf(format, args...)}))
	}
	c.checkListeners(add)
	c.checkTLS(add)
	c.checkWeb(add)
	c.checkAnalytics(add)
	for _, file := range []struct{ key, path string }{{"geoip", c.GeoIP}, {"geoip_asn", c.GeoIPASN}, {"mac_vendors", c.MACVendors}} {
		if file.path == "" {
			continue
		}
		if _, err := os.Stat(file.path); err != nil {
			add(file.key, "%v", err)
		}
	}
	if c.DataDir == "" {
		add("data_dir", "name a directory")
	}
	if c.Issuer == "" {
		add("issuer", "must not be empty")
	}
	oneOf(add, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(add, "log.format", c.Log.Format, "text", "json")
	for _, l := range []struct {
		key string
		n   int64
	}{
		{"requests_per_minute", int64(c.Limits.Requests)}, {"log_requests_per_minute", int64(c.Limits.LogRequests)},
		{"logins_per_minute", int64(c.Limits.Logins)}, {"streams_per_user", int64(c.Limits.Streams)}, {"body_bytes", c.Limits.BodyBytes},
		{"concurrent_logins", int64(c.Limits.ConcurrentLogins)}, {"tokens_per_user", int64(c.Limits.TokensPerUser)},
	} {
		if l.n < 1 {
			add("limits."+l.key, "must be at least 1, not %d", l.n)
		}
	}
	if len(found) > 0 {
		return found
	}
	return nil
}

type adder func(key, format string, args ...any)

func oneOf(add adder, key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		add(key, "must be %s, not %q", strings.Join(allowed, " or "), value)
	}
}

func (c Config) checkListeners(add adder) {
	checkAddress(add, "listen", c.Listen)
	checkAddress(add, "grpc_listen", c.GRPCListen)
	if _, port, _ := net.SplitHostPort(c.Listen); c.Listen == c.GRPCListen && port != "0" {
		add("grpc_listen", "must differ from listen")
	}
	if c.ConnectURL == "" {
		return
	}
	u, err := url.Parse(c.ConnectURL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"grpcs", "wss", "grpc", "ws"}, u.Scheme) {
		add("connect_url", "must be like grpcs://host:9090 or wss://host, not %q", c.ConnectURL)
	}
}

// checkAddress wants host:port; the host may be empty.
func checkAddress(add adder, key, value string) {
	host, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		add(key, "must be like 127.0.0.1:8080, not %q", value)
		return
	}
	bare, _, _ := strings.Cut(host, "%") // an IPv6 zone
	if host != "" && tlsca.CheckName(bare) != nil {
		add(key, "%q is no host to listen on", host)
	}
}

func (c Config) checkTLS(add adder) {
	switch {
	case c.TLS.Cert != "" && c.TLS.Key == "":
		add("tls.key", "is needed with tls.cert")
	case c.TLS.Cert == "" && c.TLS.Key != "":
		add("tls.cert", "is needed with tls.key")
	case c.TLS.Cert != "":
		if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
			add("tls.cert", "%v", err)
		}
		if len(c.TLS.Names) > 0 {
			add("tls.names", "are for the certificate made here: leave them out with tls.cert")
		}
	}
	for i, n := range c.TLS.Names {
		if err := tlsca.CheckName(n); err != nil {
			add(fmt.Sprintf("tls.names[%d]", i), "%v", err)
		}
	}
}

func (c Config) checkWeb(add adder) {
	for i, o := range c.CORSOrigins {
		u, err := url.Parse(o)
		if o != "*" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || o != u.Scheme+"://"+u.Host) {
			add(fmt.Sprintf("cors_origins[%d]", i), "must be like https://host:port or *, not %q", o)
		}
	}
	for i, p := range c.TrustedProxies {
		if prefix, err := netip.ParsePrefix(p); err != nil || prefix != prefix.Masked() {
			add(fmt.Sprintf("trusted_proxies[%d]", i), "must be a prefix like 10.0.0.0/8, not %q", p)
		}
	}
}

func (c Config) checkAnalytics(add adder) {
	a := c.Analytics
	oneOf(add, "analytics.engine", a.Engine, "embedded", "server")
	switch {
	case a.Engine == "server" && len(a.Addresses) == 0:
		add("analytics.addresses", "name at least one host:port of a ClickHouse server")
	case a.Engine == "server" && a.Library != "":
		add("analytics.library", "is of the embedded engine")
	case a.Engine == "embedded" && a.Cluster != "":
		add("analytics.cluster", "needs engine: server")
	case a.Engine == "embedded" && len(a.Addresses) > 0:
		add("analytics.addresses", "need engine: server")
	}
	oneOf(add, "analytics.protocol", a.Protocol, "native", "http")
	for i, addr := range a.Addresses {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			add(fmt.Sprintf("analytics.addresses[%d]", i), "must be like clickhouse:9000, not %q", addr)
		}
	}
	if a.Database == "" {
		add("analytics.database", "must not be empty")
	}
}
