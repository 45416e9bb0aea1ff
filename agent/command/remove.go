package command

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"ngfw.sh/agent"
	"ngfw.sh/agent/settings"
)

func removeCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove --yes",
		Short: "Take the firewall off this machine; packets then pass unfiltered",
		Long: "Remove the packet programs, their maps and counters, and the nftables table inet ngfw from the kernel.\n" +
			"Stopping the agent does not do that: the policy stays. Packets then pass unfiltered and untranslated.\n" +
			"The agent must be stopped; its settings and the last good policy stay on disk, and the next run enforces it again.",
		Args: usageArgs(cobra.NoArgs),
	}
	yes := cmd.Flags().Bool("yes", false, "do it: packets then pass unfiltered")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !*yes {
			return usagef("packets would pass unfiltered: say --yes")
		}
		s, err := settings.Load(settingsPath(cmd))
		if errors.Is(err, fs.ErrNotExist) && !cmd.Flags().Changed("config") {
			s = settings.Default()
		} else if err != nil {
			return err
		}
		if err := agent.Remove(s); err != nil {
			return err
		}
		_, err = fmt.Fprintln(env.Stdout, "the firewall is off: packets pass unfiltered")
		return err
	}
	return cmd
}
