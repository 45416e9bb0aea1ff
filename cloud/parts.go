package cloud

import (
	"crypto/tls"
	"net/netip"

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
	return a
}

// connectURL is where routers are told to connect.
func (c Config) connectURL() string {
	if c.ConnectURL != "" {
		return c.ConnectURL
	}
	return "grpcs://" + c.GRPCListen
}
