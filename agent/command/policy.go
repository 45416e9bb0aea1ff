package command

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ngfw.sh/dataplane"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

func policyCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Ask a policy file what it means, without enforcing it",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Usage() // writes to a terminal; its failure has no remedy
			return usagef("a command is missing")
		},
	}
	cmd.AddCommand(policyEvalCommand(env), policyCheckCommand(env), policyDiffCommand(env))
	return cmd
}

func policyEvalCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "eval --policy P.json --packets Q.json [-o json]",
		Short: "Judge packets by the packet program and by the reference evaluator",
		Long: "Judge each packet of Q as the first of its flow: by the program that enforcement runs, on an image of its own,\n" +
			"and by the plain reference evaluator. P is an object with zones, groups, rules, policies, nat, time_zone and\n" +
			"self_addresses; Q a list of {in,out,src,dst,protocol,sport?,dport?,icmp_type?,icmp_code?,src_mac?,vlan?,time?}.\n" +
			"Exit code 1: the two differ, or one could not answer.",
		Args: usageArgs(cobra.NoArgs),
	}
	asJSON := outputFlag(cmd)
	policyFile := cmd.Flags().String("policy", "", "the policy `file`")
	world := countriesFlag(cmd)
	packetFile := cmd.Flags().String("packets", "", "the packets' `file`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		inJSON, err := asJSON()
		if err != nil {
			return err
		}
		if *policyFile == "" || *packetFile == "" {
			return usagef("--policy and --packets are both needed")
		}
		p, err := readPolicy(*policyFile)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(*packetFile)
		if err != nil {
			return err
		}
		packets, err := policy.DecodePackets(data, time.Now())
		if err != nil {
			return fmt.Errorf("%s: %w", *packetFile, err)
		}
		about, err := world()
		if err != nil {
			return err
		}
		if about.Countries == nil && policy.NeedCountries(p) != nil {
			fmt.Fprintln(env.Stderr, "no database of countries: every address counts as of an unknown one (--geoip names a file)")
		}
		answers := dataplane.Evaluate(p, about, packets)
		if inJSON {
			err = writeJSON(env.Stdout, evaluations(packets, answers))
		} else {
			err = writeAnswers(env.Stdout, packets, answers)
		}
		if err != nil {
			return err
		}
		for _, a := range answers {
			if !a.Agree() {
				return errSilent
			}
		}
		return nil
	}
	return cmd
}

// readPolicy decodes and validates; every wrong place is in the error.
func readPolicy(path string) (policy.Policy, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return policy.Policy{}, err
	}
	p, err := policy.Decode(data)
	if err == nil {
		err = policy.Validate(p)
	}
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// evaluation is one element of policy eval's JSON: the reference's answer, and
// each side's own.
type evaluation struct {
	answer
	BPF       any `json:"bpf"`
	Reference any `json:"reference"`
}

type answer struct {
	Action policy.Action `json:"action"`
	RuleID *int64        `json:"rule_id"` // null: no rule decided
	Reason string        `json:"reason"`
	NAT    *translation  `json:"nat,omitempty"`
}

// translation is what NAT makes of a packet.
type translation struct {
	RuleID          int64  `json:"rule_id,omitempty"` // of the destination
	Destination     string `json:"destination,omitempty"`
	DestinationPort uint16 `json:"destination_port,omitempty"`
	SourceRuleID    int64  `json:"source_rule_id,omitempty"`
	Masquerade      bool   `json:"masquerade,omitempty"`
}

// failure stands for an answer that could not be given.
type failure struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"`
}

func answerOf(r policy.Result, protocol uint8) answer {
	a := answer{Action: r.Action, Reason: r.Reason}
	if r.RuleID != 0 {
		a.RuleID = &r.RuleID
	}
	if t := r.NAT; t.Rule != 0 || t.SourceRule != 0 { // a zone's masquerading goes without saying
		a.NAT = &translation{RuleID: t.Rule, SourceRuleID: t.SourceRule, Masquerade: t.Masquerade}
		if t.Rule != 0 {
			a.NAT.Destination = t.Destination.String()
			if policy.HasPorts(protocol) {
				a.NAT.DestinationPort = t.Port
			}
		}
	}
	return a
}

func side(r policy.Result, err error, protocol uint8) any {
	if err == nil {
		return answerOf(r, protocol)
	}
	f := failure{Error: err.Error()}
	if wrong, ok := fault.As(err); ok {
		f.Field = wrong.Field()
	}
	return f
}

func evaluations(packets []policy.Packet, answers []dataplane.Answers) []evaluation {
	out := make([]evaluation, len(answers))
	for i, a := range answers {
		p := packets[i].Protocol
		out[i] = evaluation{
			answer: answerOf(a.Reference, p), BPF: side(a.Program, a.ProgramError, p), Reference: side(a.Reference, a.ReferenceError, p),
		}
	}
	return out
}

func writeAnswers(out io.Writer, packets []policy.Packet, answers []dataplane.Answers) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PACKET\tACTION\tRULE\tREASON\t")
	for i, a := range answers {
		p := packets[i]
		p.Time = time.Time{} // the question's own, or now
		rule, note := "-", ""
		if a.Reference.RuleID != 0 {
			rule = fmt.Sprint(a.Reference.RuleID)
		}
		switch {
		case a.ReferenceError != nil:
			note = "reference: " + a.ReferenceError.Error()
		case a.ProgramError != nil:
			note = "program: " + a.ProgramError.Error()
		case !a.Agree():
			note = fmt.Sprintf("PROGRAM DIFFERS: %s %s", a.Program.Action, a.Program.Reason)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", packetText("", "", p), a.Reference.Action, rule, a.Reference.Reason, note)
	}
	return w.Flush()
}
