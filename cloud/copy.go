package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sync/errgroup"

	"ngfw.sh/analytics"
)

// CopyAnalytics copies what the embedded engine has in directory from, "" being that
// of this data directory, to the server that the configuration names. No process may
// use the directory meanwhile.
func CopyAnalytics(ctx context.Context, cfg Config, from string, log *slog.Logger, progress func(done, total uint64)) (copied uint64, err error) {
	to := cfg.analytics()
	if to.Engine != analytics.Server {
		return 0, errors.New("analytics.engine: must be server: configure the ClickHouse server that the rows shall go to, and copy before the cloud is started with it")
	}
	if from == "" {
		from = cfg.path(engineDir)
	}
	if _, err := os.Stat(from); err != nil {
		return 0, fmt.Errorf("there is no data of an embedded engine to copy: %w; name its directory with --from", err)
	}
	source := analytics.DefaultConfig()
	source.DataDir, source.Library = from, to.Library
	return copyAnalytics(ctx, source, to, log, progress)
}

func copyAnalytics(ctx context.Context, source, target analytics.Config, log *slog.Logger, progress func(done, total uint64)) (copied uint64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var dbs [2]*analytics.DB
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range []analytics.Config{source, target} {
		db, err := analytics.New(c, analytics.Deps{Log: log})
		if err != nil {
			return 0, err
		}
		dbs[i] = db
	}
	for _, db := range dbs {
		group.Go(func() error { return db.Run(ctx) })
	}
	group.Go(func() error {
		defer cancel() // ends the databases
		for _, db := range dbs {
			if err := db.Ready(ctx); err != nil {
				return err
			}
		}
		n, err := dbs[1].CopyFrom(ctx, dbs[0], progress)
		copied = n
		return err
	})
	err = group.Wait()
	return copied, err
}
