package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ngfw.sh/lab"
)

// listed is one lab as `list -o json` shows it.
type listed struct {
	Name    string       `json:"name"`
	State   string       `json:"state"` // up, or broken: what an interruption or a crash left
	Forward bool         `json:"forward"`
	Owner   int          `json:"owner_pid,omitempty"`
	Created *time.Time   `json:"created,omitempty"`
	BPF     string       `json:"bpf_dir"`
	Hosts   []listedHost `json:"hosts"`
}

type listedHost struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	IP        string `json:"ip"`
	IP6       string `json:"ip6,omitempty"`
}

func listCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "Show the labs of this machine", Args: cobra.NoArgs}
	name := cmd.Flags().String("name", "", "show this lab alone")
	output := cmd.Flags().StringP("output", "o", "text", "`text` or json")
	cmd.RunE = func(*cobra.Command, []string) error {
		if *output != "text" && *output != "json" {
			return usage("-o %s: text or json", *output)
		}
		states, err := lab.List()
		if err != nil {
			return err
		}
		labs := []listed{}
		for _, s := range states {
			if *name == "" || s.Name == *name {
				labs = append(labs, describe(s))
			}
		}
		if *output == "json" {
			enc := json.NewEncoder(os.Stdout)
			enc.SetIndent("", "  ")
			return enc.Encode(labs)
		}
		return table(labs)
	}
	return cmd
}

func describe(s lab.State) listed {
	l, _ := lab.Named(s.Name) // List returns valid names alone
	out := listed{Name: s.Name, State: "broken", Forward: s.Forward, BPF: l.BPFDir()}
	if s.Usable() {
		out.State = "up"
	}
	if s.Owner != nil {
		out.Owner = s.Owner.PID
	}
	if !s.Created.IsZero() {
		out.Created = &s.Created
	}
	for _, h := range lab.Hosts {
		host := listedHost{Name: h, Namespace: l.Namespace(h), IP: lab.IP4(h).String()}
		if ip6 := lab.IP6(h); ip6.IsValid() {
			host.IP6 = ip6.String()
		}
		out.Hosts = append(out.Hosts, host)
	}
	return out
}

func table(labs []listed) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, l := range labs {
		fmt.Fprintf(w, "%s\t%s\n", l.Name, l.State)
		for _, h := range l.Hosts {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", h.Name, h.Namespace, h.IP, h.IP6)
		}
	}
	return w.Flush()
}
