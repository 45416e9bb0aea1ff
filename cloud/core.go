package cloud

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/cloud/account"
	"ngfw.sh/cloud/seal"
	"ngfw.sh/cloud/store"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Core is the store and the domain services over it: what the server serves
// and what a command beside it calls directly.
type Core struct {
	Store   *store.Store
	Account *account.Service
	Fleet   Fleet // nil until package fleet is wired in Open
}

// Fleet registers routers. Package fleet is it.
type Fleet interface {
	RegisterDevice(context.Context, *ngfwv1.RegisterDeviceRequest) (*ngfwv1.RegisteredDevice, error)
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

	accounts := account.DefaultConfig()
	accounts.Issuer = cfg.Issuer
	accounts.TokensPerUser = cfg.Limits.TokensPerUser
	accounts.Password.Concurrent = cfg.Limits.ConcurrentLogins

	return &Core{
		Store:   db,
		Account: account.New(accounts, account.Deps{Store: db, Seal: key, Log: log.With("part", "account"), Registry: registry}),
	}, nil
}

// Installed says whether the data directory holds a database.
func Installed(cfg Config) bool {
	_, err := os.Stat(cfg.path(databaseFile))
	return !errors.Is(err, fs.ErrNotExist)
}

// Close closes the database.
func (c *Core) Close() error { return c.Store.Close() }
