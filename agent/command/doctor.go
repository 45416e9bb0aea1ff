package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ngfw.sh/agent/doctor"
)

func doctorCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [-o json]",
		Short: "Examine whether this machine can run the agent, and say what to do",
		Long:  "Examine kernel, privileges, disk, clock and the way to the cloud. Nothing is changed,\nbut that the kernel may load modules for the asking.\nExit code 1: something must be done before the agent works.",
		Args:  usageArgs(cobra.NoArgs),
	}
	asJSON := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		inJSON, err := asJSON()
		if err != nil {
			return err
		}
		cfg := doctor.DefaultConfig()
		cfg.SettingsPath = settingsPath(cmd)
		results := doctor.New(cfg, doctor.Deps{Kernel: env.Kernel}).Examine(cmd.Context())
		worst := doctor.Worst(results)
		if inJSON {
			err = writeJSON(env.Stdout, struct {
				Outcome doctor.Outcome  `json:"outcome"`
				Checks  []doctor.Result `json:"checks"`
			}{worst, results})
		} else {
			err = writeResults(env.Stdout, results)
		}
		if err != nil {
			return err
		}
		if worst == doctor.Fail {
			return errSilent
		}
		return nil
	}
	return cmd
}

func writeResults(out io.Writer, results []doctor.Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	count := map[doctor.Outcome]int{}
	for _, r := range results {
		count[r.Outcome]++
		fmt.Fprintf(w, "%s\t%s\t%s\n", strings.ToUpper(string(r.Outcome)), r.Check, r.Detail)
		if r.Lost != "" {
			fmt.Fprintf(w, "\t\twithout it: %s\n", r.Lost)
		}
		if r.Remedy != "" {
			fmt.Fprintf(w, "\t\t→ %s\n", r.Remedy)
		}
	}
	fmt.Fprintf(w, "\n%d ok, %d warnings, %d failures\n", count[doctor.OK], count[doctor.Warn], count[doctor.Fail])
	return w.Flush()
}
