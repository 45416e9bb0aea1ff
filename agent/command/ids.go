package command

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ngfw.sh/dataplane/ids/rule"
)

func idsCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ids",
		Short: "Try intrusion detection rules without enforcing them",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Usage() // writes to a terminal; its failure has no remedy
			return usagef("a command is missing")
		},
	}
	cmd.AddCommand(idsCheckCommand(env), idsReplayCommand(env), idsProfileCommand(env))
	return cmd
}

func idsCheckCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check --rules F [--set K=V] [-o json]",
		Short: "Say which rules are accepted, and why others are not",
		Long: "Read files of Suricata rules and say how many are accepted, and of every other its line, column and reason.\n" +
			"Variables have the values of a stock suricata.yaml; --set vars.address-groups.NAME=VALUE or\n" +
			"--set vars.port-groups.NAME=VALUE changes or adds one. Exit code 1: a rule was refused.",
		Args: usageArgs(cobra.NoArgs),
	}
	asJSON := outputFlag(cmd)
	paths := cmd.Flags().StringArray("rules", nil, "a `file` of rules; may be given several times")
	settings := cmd.Flags().StringArray("set", nil, "a `key=value` of suricata.yaml; may be given several times")
	cmd.RunE = func(*cobra.Command, []string) error {
		inJSON, err := asJSON()
		if err != nil {
			return err
		}
		if len(*paths) == 0 {
			return usagef("--rules is needed")
		}
		cfg := rule.DefaultConfig()
		if err := applySettings(env.Stderr, &cfg, *settings); err != nil {
			return err
		}
		files := make([]rule.File, len(*paths))
		for i, path := range *paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files[i] = rule.File{Name: path, Text: string(text)}
		}
		set := rule.Load(files, cfg)
		if inJSON {
			err = writeJSON(env.Stdout, checkedRules(set))
		} else {
			err = writeChecked(env.Stdout, set)
		}
		if err != nil {
			return err
		}
		if len(set.Refused) > 0 {
			return errSilent
		}
		return nil
	}
	return cmd
}

// applySettings takes the variables among keys of suricata.yaml. Others have no
// meaning here, which is said once.
func applySettings(notes io.Writer, cfg *rule.Config, settings []string) error {
	var ignored []string
	for _, s := range settings {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return usagef("--set is key=value, not %q", s)
		}
		if name, ok := strings.CutPrefix(key, "vars.address-groups."); ok {
			cfg.Variables.Addresses[name] = value
		} else if name, ok := strings.CutPrefix(key, "vars.port-groups."); ok {
			cfg.Variables.Ports[name] = value
		} else {
			ignored = append(ignored, key)
		}
	}
	if len(ignored) > 0 {
		fmt.Fprintf(notes, "without meaning here: %s\n", strings.Join(ignored, ", "))
	}
	return nil
}

// checked is ids check's JSON.
type checked struct {
	Accepted   int           `json:"accepted"`
	Disabled   int           `json:"disabled"`   // commented out
	Superseded int           `json:"superseded"` // there is a later revision
	Skipped    []skippedRule `json:"skipped"`    // their requirement is not met
	Refused    []refusedRule `json:"refused"`
}

type skippedRule struct {
	File        string `json:"file"`
	Line        int    `json:"line"`
	SID         uint32 `json:"sid,omitempty"`
	Requirement string `json:"requirement"`
}

type refusedRule struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	SID    uint32 `json:"sid,omitempty"`
	Reason string `json:"reason"`
}

func checkedRules(set *rule.Set) checked {
	c := checked{
		Accepted: len(set.Rules), Disabled: len(set.Disabled), Superseded: len(set.Superseded),
		Skipped: []skippedRule{}, Refused: []refusedRule{},
	}
	for _, r := range set.Skipped {
		c.Skipped = append(c.Skipped, skippedRule{set.Files[r.File], r.Line, r.SID, r.Unmet})
	}
	for _, e := range set.Refused {
		c.Refused = append(c.Refused, refusedRule{e.File, e.Line, e.Column, e.SID, e.Reason})
	}
	return c
}

func writeChecked(out io.Writer, set *rule.Set) error {
	var b strings.Builder
	for _, e := range set.Refused {
		fmt.Fprintf(&b, "refused: %v\n", e)
	}
	for _, r := range set.Skipped {
		fmt.Fprintf(&b, "skipped: %s:%d: sid %d: requirement not met: %s\n", set.Files[r.File], r.Line, r.SID, r.Unmet)
	}
	fmt.Fprintf(&b, "%d accepted, %d refused, %d skipped, %d superseded by a later revision, %d commented out\n",
		len(set.Rules), len(set.Refused), len(set.Skipped), len(set.Superseded), len(set.Disabled))
	_, err := io.WriteString(out, b.String())
	return err
}
