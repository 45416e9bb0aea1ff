// Package cloud owns how the service is put together: its configuration, its
// data directory, and the order in which the parts start and stop.
//
// Serve is the one place where the parts meet; each knows the others only by
// the small interfaces it declares. One server at a time uses a data directory,
// commands may use its database beside it. What the parts do is theirs.
package cloud

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"ngfw.sh/cloud/tlsca"
)

// Part runs until its context ends; an error ends the service.
type Part interface {
	Run(context.Context) error
}

// Deps are what the service is given from outside.
type Deps struct {
	Log      *slog.Logger
	Registry *prometheus.Registry
	// Front makes what answers on the two listeners: package api over the core.
	Front func(Config, *Core, *tls.Config) (Part, error)
}

// Serve runs the service until the context ends.
func Serve(ctx context.Context, cfg Config, deps Deps) error {
	if deps.Front == nil {
		return errors.New("this build has no API server")
	}
	if err := makeDataDir(cfg); err != nil {
		return err
	}
	held, err := lock(cfg)
	if err != nil {
		return err
	}
	defer held.Close()

	core, err := Open(ctx, cfg, deps.Log, deps.Registry)
	if err != nil {
		return err
	}
	defer core.Close()
	if err := core.Account.Load(ctx); err != nil {
		return err
	}
	if err := bootstrap(ctx, cfg, core.Account, deps.Log); err != nil {
		return err
	}

	certificate, err := certificate(cfg, deps.Log)
	if err != nil {
		return err
	}
	front, err := deps.Front(cfg, core, certificate.TLS())
	if err != nil {
		return err
	}
	return run(ctx, map[string]Part{
		"account":     core.Account,
		"certificate": certificate,
		"api":         front,
	})
}

// certificate is the operator's or our own.
func certificate(cfg Config, log *slog.Logger) (*tlsca.Certificate, error) {
	if cfg.TLS.Cert != "" {
		return tlsca.Files(cfg.TLS.Cert, cfg.TLS.Key, log)
	}
	return tlsca.Own(cfg.DataDir, cfg.GRPCListen, cfg.TLS.Names, log)
}

// run runs the parts together: the first that fails ends the others.
func run(ctx context.Context, parts map[string]Part) error {
	g, ctx := errgroup.WithContext(ctx)
	for name, p := range parts {
		g.Go(func() error {
			err := p.Run(ctx)
			switch {
			case err != nil && !errors.Is(err, context.Canceled):
				return fmt.Errorf("%s: %w", name, err)
			case ctx.Err() == nil:
				return fmt.Errorf("%s ended by itself", name)
			}
			return nil
		})
	}
	return g.Wait()
}
