package command

import (
	"github.com/spf13/cobra"

	"ngfw.sh/internal/geoip"
	"ngfw.sh/policy"
)

// countriesFlag adds --geoip. What it gives is what a policy file means by itself,
// with the countries of that database.
func countriesFlag(cmd *cobra.Command) func() (policy.Env, error) {
	file := cmd.Flags().String("geoip", "", "the `file` that tells which addresses are in which country (MMDB)")
	return func() (policy.Env, error) {
		env := fileEnv
		if *file == "" {
			return env, nil
		}
		countries, err := geoip.Open(*file)
		if err != nil {
			return env, usagef("--geoip: %v", err)
		}
		env.Countries = countries
		return env, nil
	}
}
