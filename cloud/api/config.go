package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"
)

// Config is what an operator may choose.
type Config struct {
	Listen     string // HTTP: REST, streams, pages
	GRPCListen string // gRPC: agents and the same API; "" for none

	TLS       *tls.Config // of the gRPC listener
	Plaintext bool        // serve gRPC without TLS; it has to be asked for

	Origins        []string       // that browsers may call from (CORS): https://host[:port], or * for all
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	MetricsToken   string         // bearer token of /metrics; "" for none

	RequestTimeout  time.Duration // of a unary call
	BodyLimit       int64         // bytes of a request body
	BodyTimeout     time.Duration // for a request body to arrive
	Heartbeat       time.Duration // between heartbeats of a stream
	Recheck         time.Duration // between looks at a stream's token
	StreamStall     time.Duration // a reader that takes nothing for so long is cut off
	CookieLifetime  time.Duration // of a browser's refresh token: a session without use
	ShutdownTimeout time.Duration // for running requests to end

	Limits Limits
}

// Limits are requests per Window, per token (or remote address) and endpoint.
type Limits struct {
	Window    time.Duration
	Auth      int // /api/auth/*
	Logs      int // /api/traffic/logs
	Other     int
	Streams   int // open at once, per user
	Downloads int // running at once, per user
	Keys      int // tokens × endpoints remembered at most
}

// DefaultConfig is the specification's table and loopback addresses.
func DefaultConfig() Config {
	return Config{
		Listen:          "127.0.0.1:8080",
		GRPCListen:      "127.0.0.1:9090",
		RequestTimeout:  30 * time.Second,
		BodyLimit:       1 << 20,
		BodyTimeout:     30 * time.Second,
		Heartbeat:       15 * time.Second,
		Recheck:         15 * time.Second,
		StreamStall:     time.Minute,
		CookieLifetime:  30 * 24 * time.Hour,
		ShutdownTimeout: 10 * time.Second,
		Limits:          Limits{Window: time.Minute, Auth: 10, Logs: 60, Other: 120, Streams: 5, Downloads: 2, Keys: 1 << 16},
	}
}

func (c Config) validate() error {
	if c.GRPCListen != "" && c.TLS == nil && !c.Plaintext {
		return errors.New("the gRPC listener needs a certificate: set TLS, or Plaintext to do without")
	}
	for _, o := range c.Origins {
		u, err := url.Parse(o)
		if o != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "") {
			return fmt.Errorf("origin %q: write it as https://host[:port], without a path", o)
		}
	}
	for name, ok := range map[string]bool{
		"RequestTimeout":  c.RequestTimeout > 0,
		"BodyLimit":       c.BodyLimit > 0,
		"BodyTimeout":     c.BodyTimeout > 0,
		"Heartbeat":       c.Heartbeat > 0,
		"Recheck":         c.Recheck > 0,
		"StreamStall":     c.StreamStall > 0,
		"CookieLifetime":  c.CookieLifetime > 0,
		"ShutdownTimeout": c.ShutdownTimeout > 0,
		"Limits":          c.Limits.Window > 0 && c.Limits.Auth > 0 && c.Limits.Logs > 0 && c.Limits.Other > 0 && c.Limits.Streams > 0 && c.Limits.Downloads > 0 && c.Limits.Keys > 0,
	} {
		if !ok {
			return fmt.Errorf("%s must be greater than zero: start from DefaultConfig", name)
		}
	}
	return nil
}
