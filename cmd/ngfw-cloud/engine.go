package main

import (
	"github.com/spf13/cobra"

	"ngfw.sh/analytics/chdb"
)

// newEngine is the analytics engine's own process, the child of a server.
func newEngine() *cobra.Command {
	return &cobra.Command{
		Use:                "engine",
		Hidden:             true, // started by the server alone
		DisableFlagParsing: true,
		RunE: done(func(cmd *cobra.Command, args []string) error {
			cfg, err := chdb.ParseArgs(args)
			if err != nil {
				return err
			}
			return chdb.Serve(cmd.Context(), cfg)
		}),
	}
}
