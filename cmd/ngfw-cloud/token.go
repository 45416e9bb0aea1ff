package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newToken(o *options) *cobra.Command {
	var user, name string
	var scopes []string
	create := &cobra.Command{
		Use:   "create --user E [--name N] [--scopes read,write,admin]",
		Short: "Make an API token and print it once",
		Args:  cobra.NoArgs,
		RunE: done(func(cmd *cobra.Command, _ []string) error {
			core, err := o.open(cmd, false)
			if err != nil {
				return err
			}
			defer core.Close()
			t, err := core.Account.IssueToken(cmd.Context(), user, name, scopes)
			if err != nil {
				return err
			}
			return o.print(cmd, struct {
				ID        string   `json:"id"`
				Name      string   `json:"name"`
				Scopes    []string `json:"scopes"`
				CreatedAt int64    `json:"created_at"`
				ExpiresAt int64    `json:"expires_at"`
				Token     string   `json:"token"`
			}{t.Id, t.Name, t.Scopes, t.CreatedAt, t.ExpiresAt, t.GetToken()}, t.GetToken(),
				fmt.Sprintf("API token %s of %s (%s), valid for a year, shown only now:", t.Id, user, strings.Join(t.Scopes, ", ")))
		}),
	}
	f := create.Flags()
	f.StringVar(&user, "user", "", "the user's `e-mail` address")
	f.StringVar(&name, "name", "cli", "`name` that lists show")
	f.StringSliceVar(&scopes, "scopes", nil, "read, write, admin (default all that the user's role gives)")
	create.MarkFlagRequired("user")
	return group("token", "API tokens", create)
}
