// Package tlsca owns the certificate of the listener for routers: one from the
// operator's files, or one of a certification authority that is made in the
// data directory and that routers are told to trust (ca.pem).
//
// The authority's key stays in a file that only the owner reads; the server's
// key and certificate live in memory alone and are made anew at each start and
// before they expire. Nothing here is overwritten or thrown away by itself: a
// lost or mixed-up authority is an error, because a new one locks out every
// router. A Certificate is safe for concurrent use.
package tlsca

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync/atomic"
	"time"
)

// Certificate is what the listener shows; it changes while running.
type Certificate struct {
	current atomic.Pointer[tls.Certificate]
	renew   func(now time.Time, current *tls.Certificate) (*tls.Certificate, error)
	every   time.Duration
	log     *slog.Logger
	now     func() time.Time
}

// newCertificate makes the first one, so that there always is one to show.
func newCertificate(log *slog.Logger, now func() time.Time, every time.Duration,
	renew func(time.Time, *tls.Certificate) (*tls.Certificate, error)) (*Certificate, error) {
	c := &Certificate{renew: renew, every: every, log: log, now: now}
	first, err := renew(now(), nil)
	if err != nil {
		return nil, err
	}
	c.current.Store(first)
	return c, nil
}

// TLS is the listener's configuration.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13, // gRPC clients all know it
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// Run keeps the certificate fresh until the context ends. One that cannot be
// renewed stays in use, and the log says so at each try.
func (c *Certificate) Run(ctx context.Context) error {
	t := time.NewTicker(c.every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			c.refresh()
		}
	}
}

func (c *Certificate) refresh() {
	old := c.current.Load()
	next, err := c.renew(c.now(), old)
	switch {
	case err != nil:
		c.log.Error("certificate not renewed", "error", err, "expires", old.Leaf.NotAfter)
	case next != old:
		c.current.Store(next)
		c.log.Info("certificate renewed", "expires", next.Leaf.NotAfter)
	}
}
