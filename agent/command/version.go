package command

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func versionCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{Use: "version [-o json]", Short: "Show the version", Args: usageArgs(cobra.NoArgs)}
	asJSON := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		inJSON, err := asJSON()
		if err != nil {
			return err
		}
		platform := runtime.GOOS + "/" + runtime.GOARCH
		if inJSON {
			return writeJSON(env.Stdout, map[string]string{"version": env.Version, "go": runtime.Version(), "platform": platform})
		}
		_, err = fmt.Fprintf(env.Stdout, "ngfw-agent %s (%s, %s)\n", env.Version, runtime.Version(), platform)
		return err
	}
	return cmd
}
