package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ngfw.sh/agent/control"
	"ngfw.sh/dataplane"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

func simulateCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate --in I --out I --src A --dst A --protocol P [--dport N] …",
		Short: "Tell what would become of a packet, and why",
		Long: "Judge one packet, as the first of its flow, step by step: by the running agent's enforced policy, or with --policy\n" +
			"by that of a file. The packet program itself is asked; no counter, flow or log sees the packet.\n" +
			"Exit code 1: there is no answer.",
		Args: usageArgs(cobra.NoArgs),
	}
	asJSON := outputFlag(cmd)
	file := cmd.Flags().String("policy", "", "ask this policy `file` instead of the running agent")
	socket := cmd.Flags().String("socket", "", "the agent's control `socket`, if not that of the settings")
	world := countriesFlag(cmd)
	packet := packetFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		inJSON, err := asJSON()
		if err != nil {
			return err
		}
		p, err := packet()
		if err != nil {
			return err
		}
		if *file == "" && cmd.Flags().Changed("geoip") {
			return usagef("--geoip goes with --policy: the running agent has its own")
		}
		var e policy.Explanation
		if *file != "" {
			about, err := world()
			if err != nil {
				return err
			}
			if e, err = simulateFile(*file, about, p); err != nil {
				return err
			}
		} else if *socket, err = controlSocket(cmd, *socket); err == nil {
			e, err = control.Simulate(cmd.Context(), *socket, p)
		}
		if err != nil {
			return err
		}
		if inJSON {
			return writeJSON(env.Stdout, e)
		}
		return writeExplanation(env.Stdout, e)
	}
	return cmd
}

// packetFlags adds a flag for each member of a packet. What they hold is read as
// the members are, so that there is one way to write a packet.
func packetFlags(cmd *cobra.Command) func() (policy.Packet, error) {
	members := map[string]bool{} // flag → whether its value is a number
	add := func(name, usage string, number bool) {
		cmd.Flags().String(name, "", usage)
		members[name] = number
	}
	add("in", "`interface` that it comes from; self: the router", false)
	add("out", "`interface` that it leaves by; self: it is for the router", false)
	add("src", "source `address`", false)
	add("dst", "destination `address`, as on the wire", false)
	add("protocol", "`protocol`: tcp, udp, icmp …, or a number", false)
	add("sport", "source `port`", true)
	add("dport", "destination `port`", true)
	add("icmp-type", "ICMP `type`", true)
	add("icmp-code", "ICMP `code`", true)
	add("src-mac", "the frame's source `address`", false)
	add("vlan", "the frame's VLAN `tag`", true)
	add("time", "Unix `seconds`, if not now", true)
	return func() (policy.Packet, error) {
		object := map[string]any{}
		for name, number := range members {
			if !cmd.Flags().Changed(name) {
				continue
			}
			text, err := cmd.Flags().GetString(name)
			if err != nil {
				return policy.Packet{}, err
			}
			var v any = text
			if number {
				if v, err = strconv.ParseInt(text, 10, 64); err != nil {
					return policy.Packet{}, usagef("--%s is a number, not %q", name, text)
				}
			}
			object[strings.ReplaceAll(name, "-", "_")] = v
		}
		text, err := json.Marshal(object)
		if err != nil {
			return policy.Packet{}, err
		}
		p, err := policy.DecodePacket(text, time.Now())
		if f, ok := fault.As(err); ok && len(f.Fields) > 0 {
			return p, usagef("--%s %s", strings.ReplaceAll(f.Field(), "_", "-"), f.Fields[0].Message)
		}
		return p, err
	}
}

// simulateFile asks the packet program about a policy of its own, and holds it
// against the reference.
func simulateFile(path string, about policy.Env, packet policy.Packet) (policy.Explanation, error) {
	p, err := readPolicy(path)
	if err != nil {
		return policy.Explanation{}, err
	}
	a := dataplane.Evaluate(p, about, []policy.Packet{packet})[0]
	switch {
	case a.ReferenceError != nil:
		return policy.Explanation{}, a.ReferenceError
	case a.ProgramError != nil:
		return policy.Explanation{}, a.ProgramError
	case !a.Agree():
		return policy.Explanation{}, fmt.Errorf("the packet program says %s (%s) and the reference %s (%s): please report this",
			a.Program.Action, a.Program.Reason, a.Reference.Action, a.Reference.Reason)
	}
	image, err := policy.Compile(p, about)
	if err != nil {
		return policy.Explanation{}, err
	}
	return image.Explain(packet, policy.Verdict{Action: a.Program.Action, Log: a.Program.Log, Decider: a.Program.Decider, NAT: a.Program.NAT}), nil
}

func writeExplanation(out io.Writer, e policy.Explanation) error {
	answer := fmt.Sprintf("%s (%s", e.Action, e.Reason)
	if e.RuleID != nil {
		answer += fmt.Sprintf(" %d", *e.RuleID)
	}
	answer += ")"
	if e.PolicyRevision > 0 {
		answer += fmt.Sprintf(", policy revision %d", e.PolicyRevision)
	}
	fmt.Fprintln(out, answer)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range e.Stages {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", s.Stage, s.Result, s.Reason)
	}
	return w.Flush()
}
