package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// engine runs the analytics engine in this process, the child of a server; nil
// until package analytics is wired here.
var engine func(ctx context.Context, args []string) error

func newEngine() *cobra.Command {
	return &cobra.Command{
		Use:                "engine",
		Hidden:             true, // started by the server alone
		DisableFlagParsing: true,
		RunE: done(func(cmd *cobra.Command, args []string) error {
			if engine == nil {
				return errors.New("this build has no embedded engine")
			}
			return engine(cmd.Context(), args)
		}),
	}
}
