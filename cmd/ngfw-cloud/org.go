package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newOrg(o *options) *cobra.Command {
	return group("org", "Organizations", &cobra.Command{
		Use:   "set-plan ORGANIZATION PLAN",
		Short: "Set an organization's plan: starter, pro, business or business_plus",
		Args:  cobra.ExactArgs(2),
		RunE: done(func(cmd *cobra.Command, args []string) error {
			core, err := o.open(cmd, false)
			if err != nil {
				return err
			}
			defer core.Close()
			org, err := core.Account.SetPlan(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return o.print(cmd, struct {
				ID   string `json:"id"`
				Name string `json:"name"`
				Plan string `json:"plan"`
			}{org.ID, org.Name, org.Plan}, "", fmt.Sprintf("organization %s (%s) has the plan %s", org.ID, org.Name, org.Plan))
		}),
	})
}
