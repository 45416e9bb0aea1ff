package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ngfw.sh/policy"
)

func policyDiffCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff A.json B.json [-o json]",
		Short: "List the packets that have another action under B than under A",
		Long: "List what changes from A to B as boxes that do not overlap, each with a packet of it: interfaces, addresses and\n" +
			"services whose packets have one action under A and another under B. Nothing listed: the policies do the same.\n" +
			"Exit code 0: they were compared, whatever was found.",
		Args: usageArgs(cobra.ExactArgs(2)),
	}
	asJSON := outputFlag(cmd)
	world := countriesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		inJSON, err := asJSON()
		if err != nil {
			return err
		}
		var policies [2]policy.Policy
		for i, name := range args {
			if policies[i], err = readPolicy(name); err != nil {
				return err
			}
		}
		about, err := world()
		if err != nil {
			return err
		}
		changes, err := policy.Diff(policies[0], policies[1], about)
		if err != nil {
			return err
		}
		if inJSON {
			return writeJSON(env.Stdout, changes)
		}
		return writeChanges(env.Stdout, changes)
	}
	return cmd
}

func writeChanges(out io.Writer, changes []policy.Change) error {
	if len(changes) == 0 {
		_, err := fmt.Fprintln(out, "no packet has another action")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CHANGE\tZONES\tSOURCE\tDESTINATION\tSERVICE\tPACKET")
	for _, c := range changes {
		b := c.Box
		zones := moved(b.ZoneFrom, b.WasZoneFrom) + "→" + moved(b.ZoneTo, b.WasZoneTo)
		source := b.Source
		if b.SourceMAC != "" {
			source += " " + b.SourceMAC
		}
		service := serviceText(b)
		if len(b.When) > 0 {
			service += " " + strings.Join(b.When, ", ")
		}
		fmt.Fprintf(w, "%s→%s\t%s\t%s\t%s\t%s\t%s\n", c.From, c.To, zones, source, b.Destination, service, packetText(b.ZoneFrom, b.ZoneTo, c.Witness)+sentText(c))
	}
	return w.Flush()
}

// sentText says where NAT sends a witness under either policy, if it does.
func sentText(c policy.Change) string {
	if c.FromDestination == "" && c.ToDestination == "" {
		return ""
	}
	at := func(destination string) string {
		if destination == "" {
			return "not translated"
		}
		return "to " + destination
	}
	return fmt.Sprintf(" (%s, then %s)", at(c.FromDestination), at(c.ToDestination))
}

// moved names a zone, and the one before if interfaces have come from there.
func moved(zone, was string) string {
	if was == "" {
		return zone
	}
	return fmt.Sprintf("%s (was %s)", zone, was)
}

func serviceText(b policy.Box) string {
	text := b.Protocol
	if b.Port != "*" {
		text += " " + b.Port
	}
	if b.ICMPTypes != "" {
		text += " " + b.ICMPTypes
	}
	if b.SourcePort != "" {
		text += " from port " + b.SourcePort
	}
	return text
}
