package cloud

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/google/renameio/v2"

	"ngfw.sh/analytics"
	"ngfw.sh/cloud/api"
)

// The configuration as the parts take it. Check has seen every value.

func (c Config) api(certificate *tls.Config) api.Config {
	a := api.DefaultConfig()
	a.Listen, a.GRPCListen, a.TLS = c.Listen, c.GRPCListen, certificate
	a.Origins, a.MetricsToken = c.CORSOrigins, string(c.MetricsToken)
	for _, p := range c.TrustedProxies {
		a.TrustedProxies = append(a.TrustedProxies, netip.MustParsePrefix(p))
	}
	a.BodyLimit = c.Limits.BodyBytes
	a.Limits.Other, a.Limits.Logs, a.Limits.Auth, a.Limits.Streams = c.Limits.Requests, c.Limits.LogRequests, c.Limits.Logins, c.Limits.Streams
	return a
}

func (c Config) analytics() analytics.Config {
	a := analytics.DefaultConfig()
	a.Engine, a.DataDir, a.Library = c.Analytics.Engine, c.path(engineDir), c.Analytics.Library
	a.Addresses, a.Database, a.Username, a.Password = c.Analytics.Addresses, c.Analytics.Database, c.Analytics.Username, analytics.Secret(c.Analytics.Password)
	a.Protocol, a.TLS, a.Cluster = c.Analytics.Protocol, c.Analytics.TLS, c.Analytics.Cluster
	return a
}

// connectURL is where routers are told to connect: as configured, else as the
// server says that uses this data directory, which a command beside it asks.
func (c Config) connectURL() string {
	if c.ConnectURL != "" {
		return c.ConnectURL
	}
	if told, err := os.ReadFile(c.path(connectFile)); err == nil {
		return strings.TrimSpace(string(told))
	}
	return "grpcs://" + c.GRPCListen
}

// tellConnectURL notes where this server's routers connect.
func (c Config) tellConnectURL() error {
	url := c.ConnectURL
	if url == "" {
		url = "grpcs://" + c.GRPCListen
	}
	if err := renameio.WriteFile(c.path(connectFile), []byte(url+"\n"), 0o600); err != nil {
		return fmt.Errorf("note where routers connect: %w", err)
	}
	return nil
}
