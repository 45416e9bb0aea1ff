package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"ngfw.sh/analytics"
	"ngfw.sh/cloud"
)

func newAnalytics(o *options) *cobra.Command {
	var cluster, database string
	schema := &cobra.Command{
		Use:   "schema [--cluster NAME] [--database D]",
		Short: "Print the statements that make ClickHouse's tables",
		Long: `Print the statements that make ClickHouse's tables, for clickhouse-client.
One server's tables are made at start; a cluster's are made by these.`,
		Args: cobra.NoArgs,
		RunE: done(func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.read(func(c *cloud.Config) {
				if database != "" {
					c.Analytics.Database = database
				}
			})
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("cluster") {
				cluster = cfg.Analytics.Cluster
			} else if cluster == "" {
				return usage{errors.New("--cluster needs a name")}
			}
			statements := analytics.Schema(cfg.Analytics.Database, cluster)
			return o.print(cmd, struct {
				Statements []string `json:"statements"`
			}{statements}, strings.Join(statements, ";\n\n")+";", "")
		}),
	}
	schema.Flags().StringVar(&cluster, "cluster", "", "`name` in remote_servers (default analytics.cluster of the configuration, else one server)")
	schema.Flags().StringVar(&database, "database", "", "`database` (default analytics.database of the configuration)")
	return group("analytics", "The database of flows", schema, newAnalyticsCopy(o))
}

func newAnalyticsCopy(o *options) *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "copy [--from DIR]",
		Short: "Copy the embedded engine's rows to the configured ClickHouse server",
		Long: `Copy flows, alerts and DNS queries from the embedded engine's data directory to
the ClickHouse server that the configuration names. Stop the cloud first. A copy
that was ended goes on where it was when it is begun again; no row comes twice.`,
		Args: cobra.NoArgs,
		RunE: done(func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.read(nil)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionSetDescription("rows"),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("rows"),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionUseANSICodes(false))
			copied, err := cloud.CopyAnalytics(cmd.Context(), cfg, from, log, func(done, total uint64) {
				bar.ChangeMax64(int64(total))
				_ = bar.Set64(int64(done)) // of a bar that cannot be drawn nothing depends
			})
			fmt.Fprintln(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return o.print(cmd, struct {
				Copied uint64 `json:"copied"`
			}{copied}, fmt.Sprintf("%d rows copied; all that the retention keeps is there", copied), "")
		}),
	}
	c.Flags().StringVar(&from, "from", "", "data `directory` of the embedded engine (default that of the cloud's data directory)")
	return c
}
