package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newMigrate(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date, after a backup beside it",
		Args:  cobra.NoArgs,
		RunE: done(func(cmd *cobra.Command, _ []string) error {
			core, err := o.open(cmd, true) // opening migrates
			if err != nil {
				return err
			}
			defer core.Close()
			v, err := core.Store.Version(cmd.Context())
			if err != nil {
				return err
			}
			return o.print(cmd, struct {
				Version int64 `json:"schema_version"`
			}{v}, fmt.Sprintf("schema version %d", v), "")
		}),
	}
}
