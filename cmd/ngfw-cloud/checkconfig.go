package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ngfw.sh/cloud"
)

func newCheckConfig(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "check-config [FILE]",
		Short: "Tell what is wrong with a configuration file, line by line",
		Args:  cobra.MaximumNArgs(1),
		RunE: done(func(cmd *cobra.Command, args []string) error {
			name := o.config
			if len(args) == 1 {
				name = args[0]
			}
			if name == "" {
				return usage{errors.New("name a file")}
			}
			cfg, file, err := cloud.ReadConfig(name)
			if err == nil {
				err = cfg.Check(file)
			}
			problems := cloud.Problems{}
			if err != nil && !errors.As(err, &problems) {
				return err // not even read
			}
			if o.output == "json" {
				answer := struct {
					File     string          `json:"file"`
					Problems []cloud.Problem `json:"problems"`
				}{name, problems}
				if err := writeJSON(cmd.OutOrStdout(), answer); err != nil {
					return err
				}
				if len(problems) > 0 {
					return fmt.Errorf("%d problems in %s", len(problems), name)
				}
				return nil
			}
			if err != nil {
				return err
			}
			return o.print(cmd, nil, name+": ok", "")
		}),
	}
}
