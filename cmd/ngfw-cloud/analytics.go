package main

import (
	"errors"
	"strings"

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
	return group("analytics", "The database of flows", schema)
}
