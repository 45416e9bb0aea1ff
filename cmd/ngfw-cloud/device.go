package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ngfw.sh/cloud/identity"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func newDevice(o *options) *cobra.Command {
	var name, org string
	create := &cobra.Command{
		Use:   "create --name N [--org O]",
		Short: "Register a router and print its key once",
		Args:  cobra.NoArgs,
		RunE: done(func(cmd *cobra.Command, _ []string) error {
			core, err := o.open(cmd, false)
			if err != nil {
				return err
			}
			defer core.Close()
			if core.Fleet == nil {
				return errors.New("this build has no fleet")
			}
			operator, err := core.Account.Operator(cmd.Context(), org)
			if err != nil {
				return err
			}
			d, err := core.Fleet.RegisterDevice(identity.With(cmd.Context(), operator), &ngfwv1.RegisterDeviceRequest{Name: name})
			if err != nil {
				return err
			}
			return o.print(cmd, struct {
				ID         string `json:"id"`
				Name       string `json:"name"`
				APIKey     string `json:"api_key"`
				ConnectURL string `json:"connect_url"`
			}{d.Id, d.Name, d.ApiKey, d.ConnectUrl}, d.ApiKey,
				fmt.Sprintf("device %s (%s) connects to %s with this key, shown only now:", d.Id, d.Name, d.ConnectUrl))
		}),
	}
	create.Flags().StringVar(&name, "name", "", "`name` that lists show")
	create.Flags().StringVar(&org, "org", "", "`organization`, id or name (default the only one)")
	create.MarkFlagRequired("name")
	return group("device", "Routers", create)
}
