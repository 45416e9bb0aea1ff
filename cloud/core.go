package cloud

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/cloud/account"
	"ngfw.sh/cloud/api"
	"ngfw.sh/cloud/firewall"
	"ngfw.sh/cloud/fleet"
	"ngfw.sh/cloud/ids"
	"ngfw.sh/cloud/operation"
	"ngfw.sh/cloud/qos"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/cloud/seal"
	"ngfw.sh/cloud/store"
	"ngfw.sh/cloud/system"
	"ngfw.sh/cloud/traffic"
)

// Core is the store and the domain services over it: what the server serves
// and what a command beside it calls directly.
type Core struct {
	Store    *store.Store
	Account  *account.Service
	Reports  *system.Reports
	Fleet    *fleet.Service
	Firewall *firewall.Service
	IDS      *ids.Service
	QoS      *qos.Service
	System   *system.Service
	// Operations run once the server runs them.
	Operations *operation.Service

	requests requests
	links    *links
	traffic  *recorded
}

// Open opens the data directory's database, migrating it if need be, and makes
// the services, which serve calls from then on. Close it last.
func Open(ctx context.Context, cfg Config, log *slog.Logger, registry prometheus.Registerer) (*Core, error) {
	if err := makeDataDir(cfg); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, cfg.path(databaseFile))
	if err != nil {
		return nil, err
	}
	key, err := seal.Load(cfg.path(keyFile))
	if err != nil {
		db.Close()
		return nil, err
	}
	c := &Core{Store: db, requests: requests{db, key}, links: &links{}, traffic: &recorded{plans: traffic.DefaultConfig()}}

	accounts := account.DefaultConfig()
	accounts.Issuer = cfg.Issuer
	accounts.TokensPerUser = cfg.Limits.TokensPerUser
	accounts.Password.Concurrent = cfg.Limits.ConcurrentLogins
	c.Account = account.New(accounts, account.Deps{Store: db, Seal: key, Log: log.With("part", "account"), Registry: registry})

	c.Reports = system.NewReports(system.DefaultConfig(), system.Deps{Store: db, Logger: log.With("part", "system"), Registerer: registry})
	configuration := resource.New(resource.DefaultConfig(), resource.Deps{
		Store: db, Pusher: c.links, Logger: log.With("part", "resource"), Registerer: registry,
	})
	routers := fleet.DefaultConfig()
	routers.ConnectURL = cfg.connectURL()
	c.Fleet = fleet.New(routers, fleet.Deps{
		Store: db, Links: c.links, Reports: c.Reports, Configuration: configuration, Logger: log.With("part", "fleet"),
	})
	c.Operations = operation.New(operation.DefaultConfig(), operation.Deps{Store: db, Logger: log.With("part", "operation")})
	c.Firewall = firewall.New(firewall.Deps{
		Configuration: configuration, Devices: c.Fleet, Counters: c.Reports, Addresses: c.Reports, Routers: c.links,
		Traffic: c.traffic, Operations: c.Operations, Abilities: c.Reports, Countries: newCountries(cfg.GeoIP),
	})
	c.IDS = ids.New(ids.DefaultConfig(), ids.Deps{Configuration: configuration, Devices: c.Fleet, Loaded: c.Reports})
	c.QoS = qos.New(qos.Deps{Configuration: configuration, Devices: c.Fleet, Counters: c.Reports})
	c.System = system.New(c.Reports, c.Fleet)
	return c, nil
}

// services are those that need no record of traffic.
func (c *Core) services() []api.Service {
	return []api.Service{
		api.Account(c.Account), api.Fleet(c.Fleet), api.Firewall(c.Firewall), api.NAT(c.Firewall.NAT()), api.System(c.System),
		api.IDS(c.IDS), api.QoS(c.QoS), api.Operations(c.Operations),
	}
}

// Installed says whether the data directory holds a database.
func Installed(cfg Config) bool {
	_, err := os.Stat(cfg.path(databaseFile))
	return !errors.Is(err, fs.ErrNotExist)
}

// Close closes the database.
func (c *Core) Close() error { return c.Store.Close() }
