package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ngfw.sh/dataplane/ids/detect"
)

func idsProfileCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile --rules F --pcap F [--top N] [--ips] [--ignore-checksums] [--midstream] [--config suricata.yaml] [--set K=V] [-o json]",
		Short: "Say what each rule costs on a capture",
		Long: "Lead a capture through the matcher and list the rules that were evaluated, the dearest first: how often, how\n" +
			"often they matched, and the time it took in all, on average and at most. Rules that the search over\n" +
			"patterns has kept from being evaluated cost nothing and are not listed. The time includes that of measuring.",
		Args: usageArgs(cobra.NoArgs),
	}
	asJSON := outputFlag(cmd)
	f := newReplayFlags(cmd)
	top := cmd.Flags().Int("top", 0, "list only the dearest `n` rules; 0: all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		inJSON, err := asJSON()
		if err != nil {
			return err
		}
		if *top < 0 {
			return usagef("--top is not negative")
		}
		cfg, err := f.load(env.Stderr)
		if err != nil {
			return err
		}
		cfg.Profile = true
		cfg.Log.Kinds = map[string]bool{} // what is found is not asked for
		r, err := f.run(cmd.Context(), cfg, env.Stderr, io.Discard)
		if err != nil {
			return err
		}
		costs := costsOf(r.Profile())
		if *top > 0 {
			costs = costs[:min(*top, len(costs))]
		}
		if inJSON {
			return writeJSON(env.Stdout, costs)
		}
		return writeCosts(env.Stdout, costs)
	}
	return cmd
}

// ruleCost is what a rule has cost, in ids profile's JSON.
type ruleCost struct {
	GID         uint32 `json:"gid"`
	SID         uint32 `json:"sid"`
	Evaluations uint64 `json:"evaluations"`
	Matches     uint64 `json:"matches"`
	TotalNS     int64  `json:"total_ns"`
	AverageNS   int64  `json:"average_ns"`
	MostNS      int64  `json:"most_ns"`
	Message     string `json:"message"`
}

// costsOf lists the dearest rules first.
func costsOf(profile []detect.RuleProfile) []ruleCost {
	costs := make([]ruleCost, 0, len(profile))
	for _, p := range profile {
		costs = append(costs, ruleCost{
			GID: p.Rule.GID, SID: p.Rule.SID, Evaluations: p.Tried, Matches: p.Matched, Message: p.Rule.Message,
			TotalNS: p.Total.Nanoseconds(), AverageNS: p.Total.Nanoseconds() / int64(max(p.Tried, 1)), MostNS: p.Most.Nanoseconds(),
		})
	}
	slices.SortFunc(costs, func(a, b ruleCost) int {
		return cmp.Or(cmp.Compare(b.TotalNS, a.TotalNS), cmp.Compare(a.GID, b.GID), cmp.Compare(a.SID, b.SID))
	})
	return costs
}

func writeCosts(out io.Writer, costs []ruleCost) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SID\tEVALUATIONS\tMATCHES\tTOTAL\tAVERAGE\tMOST\tMESSAGE")
	for _, c := range costs {
		fmt.Fprintf(w, "%d\t%d\t%d\t%v\t%v\t%v\t%s\n", c.SID, c.Evaluations, c.Matches,
			time.Duration(c.TotalNS), time.Duration(c.AverageNS), time.Duration(c.MostNS), c.Message)
	}
	return w.Flush()
}
