package main

import (
	"github.com/spf13/cobra"

	"ngfw.sh/lab"
	"ngfw.sh/lab/traffic"
)

func trafficCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "traffic",
		Short: "Make continuing traffic in a lab until interrupted",
		Args:  cobra.NoArgs,
	}
	name := nameFlag(cmd)
	cfg := traffic.DefaultConfig()
	cmd.Flags().DurationVar(&cfg.Every, "every", cfg.Every, "time between two activities, on average")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cfg.Every <= 0 {
			return usage("--every %v: must be positive", cfg.Every)
		}
		l, err := lab.Open(*name)
		if err != nil {
			return err
		}
		g, err := traffic.New(cfg, traffic.Deps{Lab: l, Log: logger("traffic")})
		if err != nil {
			return err
		}
		return g.Run(cmd.Context())
	}
	return cmd
}
