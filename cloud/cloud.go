// Package cloud owns how the service is put together: its configuration, its
// data directory, and the order in which the parts start and stop.
//
// Serve is the one place where the parts meet; each knows the others only by
// the small interfaces it declares. One server at a time uses a data directory,
// commands may use its database beside it. What the parts do is theirs.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/analytics"
	"ngfw.sh/cloud/account"
	"ngfw.sh/cloud/alert"
	"ngfw.sh/cloud/api"
	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/cloud/devicelink"
	"ngfw.sh/cloud/dns"
	"ngfw.sh/cloud/tlsca"
	"ngfw.sh/cloud/traffic"
	"ngfw.sh/web"
)

// Part runs until its context ends; an error ends the service.
type Part interface {
	Run(context.Context) error
}

// Deps are what the service is given from outside.
type Deps struct {
	Log      *slog.Logger
	Registry *prometheus.Registry
}

// Serve runs the service until the context ends.
func Serve(ctx context.Context, cfg Config, deps Deps) error {
	if err := makeDataDir(cfg); err != nil {
		return err
	}
	held, err := lock(cfg)
	if err != nil {
		return err
	}
	defer held.Close()

	if err := cfg.tellConnectURL(); err != nil {
		return err
	}
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

	flows, err := analytics.New(cfg.analytics(), analytics.Deps{
		Log: deps.Log.With("part", "analytics"), Metrics: deps.Registry, Places: newPlaces(cfg, core.countries, deps.Log),
		JSON: func(m proto.Message) []byte { return wirejson.Append(nil, m) },
	})
	if err != nil {
		return err
	}
	core.traffic.db.Store(flows)
	plans := core.traffic.plans
	link, err := devicelink.New(devicelink.DefaultConfig(), devicelink.Deps{
		Devices: keys{core.Fleet}, Reports: reports{core.Reports}, Documents: core.Fleet, Ingest: ingest{flows, plans},
		Logger: deps.Log.With("part", "devicelink"), Registerer: deps.Registry,
	})
	if err != nil {
		return err
	}
	core.links.server.Store(link)
	pages, err := web.New()
	if err != nil {
		return err
	}
	front, err := api.New(cfg.api(certificate.TLS()), api.Deps{
		Services: append(core.services(),
			api.Traffic(traffic.New(plans, traffic.Deps{Log: record{flows}, Devices: core.Fleet, Policies: core.Firewall})),
			api.DNSHistory(dns.New(dns.Deps{History: dnsHistory{flows}, Devices: core.Fleet, RetentionDays: plans.DaysOf})),
			api.Alert(alert.New(alert.Deps{History: alerts{flows}, Devices: core.Fleet, RetentionDays: plans.DaysOf})),
		),
		Link: api.Link(link), Codec: devicelink.Codec(), Authenticator: core.Account, Devices: core.Fleet, Requests: core.requests,
		Health:     func(ctx context.Context) map[string]error { return map[string]error{"analytics": flows.Health(ctx)} },
		Public:     map[string]http.Handler{"/.well-known/jwks.json": jwks(core.Account)},
		Dashboard:  pages,
		Logger:     deps.Log.With("part", "api"),
		Registerer: deps.Registry, Gatherer: deps.Registry,
	})
	if err != nil {
		return err
	}
	return run(ctx, map[string]Part{
		"account": core.Account, "reports": core.Reports, "operations": core.Operations, "certificate": certificate, "analytics": flows, "devicelink": link, "api": front,
	})
}

// jwks publishes the keys that verify our tokens (RFC 7517).
func jwks(a *account.Service) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.Write(a.JWKS()) // a reader that is gone needs no answer
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
