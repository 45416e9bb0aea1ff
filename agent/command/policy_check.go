package command

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ngfw.sh/policy"
)

// fileEnv is what a policy file means by itself: what it states, and neighbour
// discovery.
var fileEnv = policy.Env{System: policy.SystemSet(policy.SystemNeighbourDiscovery)}

func policyCheckCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check P.json [-o json] [--strict]",
		Short: "Find rules that decide nothing, could go, or contradict others",
		Long: "List each rule of P that is shadowed (earlier rules take all its packets), redundant (without it every packet has\n" +
			"the same action), in conflict (an earlier rule with another action decides some of its packets) or unreachable\n" +
			"(no first packet of a flow can match it), with a packet that shows it. undecided: not all could be found out.\n" +
			"Exit code 0: P was examined, whatever was found; with --strict, 1 if anything was.",
		Args: usageArgs(cobra.ExactArgs(1)),
	}
	asJSON := outputFlag(cmd)
	world := countriesFlag(cmd)
	strict := cmd.Flags().Bool("strict", false, "fail if anything is found")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		inJSON, err := asJSON()
		if err != nil {
			return err
		}
		p, err := readPolicy(args[0])
		if err != nil {
			return err
		}
		about, err := world()
		if err != nil {
			return err
		}
		found, err := policy.Check(p, about)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if inJSON {
			err = writeJSON(env.Stdout, found)
		} else {
			err = writeFindings(env.Stdout, p, found)
		}
		if err == nil && *strict && len(found) > 0 {
			err = errSilent
		}
		return err
	}
	return cmd
}

func writeFindings(out io.Writer, p policy.Policy, found []policy.Finding) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(out, "nothing found")
		return err
	}
	names := map[int64]string{}
	for _, r := range p.Rules {
		names[r.ID] = fmt.Sprintf("%d (%s)", r.ID, r.Name)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tFINDING\tPACKET")
	for _, f := range found {
		packet := ""
		if f.Witness != nil {
			packet = packetText(f.ZoneFrom, f.ZoneTo, *f.Witness)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", names[f.RuleID], findingText(f, names), packet)
	}
	return w.Flush()
}

func findingText(f policy.Finding, names map[int64]string) string {
	switch f.Kind {
	case policy.Shadowed:
		return "shadowed: decides nothing, as rule " + names[f.OtherID] + " and those before it take all"
	case policy.Redundant:
		if f.OtherID == 0 {
			return "redundant: the zone pair's policy does the same"
		}
		return "redundant: rule " + names[f.OtherID] + " does the same"
	case policy.Conflict:
		return "conflict: rule " + names[f.OtherID] + " decides otherwise, and comes first"
	}
	return f.Kind + ": " + f.Reason
}

// packetText is a packet on one line. An interface that is not known is a zone's.
func packetText(from, to string, p policy.Packet) string {
	service := policy.ProtocolName(p.Protocol)
	switch {
	case policy.HasPorts(p.Protocol):
		service += fmt.Sprintf(" %d", p.DstPort)
	case p.Protocol == policy.ProtocolICMP || p.Protocol == policy.ProtocolICMPv6:
		service += fmt.Sprintf(" %d/%d", p.ICMPType, p.ICMPCode)
	}
	text := fmt.Sprintf("%s→%s %s→%s %s", or(p.In, from), or(p.Out, to), p.Src, p.Dst, service)
	if p.SrcMAC != (policy.MAC{}) {
		text += " from " + p.SrcMAC.String()
	}
	if !p.Time.IsZero() {
		text += p.Time.Format(" at Mon 15:04")
	}
	return text
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
