package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ngfw.sh/agent/control"
	"ngfw.sh/agent/settings"
)

func statusCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [-o json]",
		Short: "Show what the running agent does",
		Long:  "Ask the running agent for its version, policy, connection, programs and counters.\nExit code 1: it is not running.",
		Args:  usageArgs(cobra.NoArgs),
	}
	asJSON := outputFlag(cmd)
	socket := cmd.Flags().String("socket", "", "the agent's control `socket`, if not that of the settings")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		inJSON, err := asJSON()
		if err != nil {
			return err
		}
		if *socket, err = controlSocket(cmd, *socket); err != nil {
			return err
		}
		status, err := control.Query(cmd.Context(), *socket)
		if err != nil {
			return err
		}
		if inJSON {
			return writeJSON(env.Stdout, status)
		}
		return writeStatus(env.Stdout, status, time.Now())
	}
	return cmd
}

// controlSocket is the given one, else that of the settings.
func controlSocket(cmd *cobra.Command, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	s, err := settings.Load(settingsPath(cmd))
	if errors.Is(err, fs.ErrNotExist) { // it may run without a file
		s, err = settings.Default(), nil
	}
	return s.ControlSocket, err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func writeStatus(out io.Writer, s control.Status, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("agent", "%s, process %d, up %s", s.Version, s.PID, since(s.Started, now))
	policy := fmt.Sprintf("revision %d", s.PolicyRevision)
	if s.PolicySource != "" {
		policy += ", from " + s.PolicySource
	}
	if s.Mode != "" {
		policy += ", mode " + s.Mode
	}
	row("policy", "%s", policy)

	link := s.Link.State
	if s.Link.Server != "" {
		link += " " + s.Link.Server
	}
	if s.Link.DeviceID != "" {
		link += " as " + s.Link.DeviceID
	}
	if s.Link.Since != 0 {
		link += ", for " + since(s.Link.Since, now)
	}
	if s.Link.Error != "" {
		link += ": " + s.Link.Error
	}
	row("link", "%s", link)

	spool := fmt.Sprintf("%d batches, %d bytes", s.Spool.Batches, s.Spool.Bytes)
	if s.Spool.DroppedBatches > 0 {
		spool += fmt.Sprintf("; dropped %d batches, %d rows", s.Spool.DroppedBatches, s.Spool.DroppedRows)
	}
	if s.Spool.Error != "" {
		spool += "; " + s.Spool.Error
	}
	row("spool", "%s", spool)
	row("packets", "%d, %d bytes; %d packets by the fast path", s.Counters.Packets, s.Counters.Bytes, s.Counters.FastPath)
	row("flows", "%d, %d events lost", s.Counters.Flows, s.Counters.EventsLost)
	writeDrops(row, s.Counters.Drops)
	writeInspection(row, s.Inspection)
	for i, l := range s.DropLists {
		row(first(i, "drop lists"), "%s", dropListText(l))
	}
	for i, g := range s.Guards {
		row(first(i, "guards"), "%s", guardText(g))
	}
	for i, q := range s.QoS {
		row(first(i, "qos"), "%s", queueText(q))
	}
	if len(s.Degraded) == 0 {
		row("degraded", "nothing")
	}
	for i, d := range s.Degraded {
		row(first(i, "degraded"), "%s", d)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(s.Programs) == 0 {
		_, err := fmt.Fprintln(out, "\nno programs are attached")
		return err
	}
	fmt.Fprintln(w, "\nINTERFACE\tZONE\tXDP\tTC\tFAST PATH\tERROR")
	for _, p := range s.Programs {
		fmt.Fprintln(w, strings.Join([]string{p.Interface, dash(p.Zone), dash(p.XDP), dash(p.TC), dash(p.FastPath), p.Error}, "\t"))
	}
	return w.Flush()
}

// writeDrops leaves out the reasons for which nothing was dropped; JSON has all.
func writeDrops(row func(name, format string, args ...any), drops map[string]int64) {
	n := 0
	for _, reason := range slices.Sorted(maps.Keys(drops)) {
		if drops[reason] != 0 {
			row(first(n, "drops"), "%s %d", reason, drops[reason])
			n++
		}
	}
	if n == 0 {
		row("drops", "none")
	}
}

// queueText is a line of the tree: "wan upload, voice: 2 to 20 Mbit/s, …".
func queueText(q control.Queue) string {
	where := strings.TrimSpace(q.Interface + " " + q.Direction)
	what := q.Class
	switch {
	case q.Device != "":
		what = "device " + q.Device
	case what == "":
		what = "other traffic"
	}
	rate := fmt.Sprintf("%g to %g Mbit/s", float64(q.Rate)/1e6, float64(q.Ceil)/1e6)
	if q.Rate == q.Ceil {
		rate = fmt.Sprintf("%g Mbit/s", float64(q.Ceil)/1e6)
	}
	return fmt.Sprintf("%s, %s: %s, priority %d, %s: %d packets, %d bytes, %d dropped, %d marked, %d bytes wait",
		where, what, rate, q.Priority, q.Queue, q.Packets, q.Bytes, q.Dropped, q.Marked, q.Backlog)
}

func writeInspection(row func(name, format string, args ...any), i control.Inspection) {
	if i.Mode == "" || i.Mode == "off" {
		row("inspection", "off")
		return
	}
	open := "fails open"
	if !i.FailOpen {
		open = "fails closed"
	}
	rules := fmt.Sprintf("%d rules", i.Rules)
	if i.RefusedRules > 0 {
		rules += fmt.Sprintf(" (%d left out)", i.RefusedRules)
	}
	row("inspection", "%s, %s, %s; %d bytes of streams inspected, flows bypassed %d, blocked %d", i.Mode, open, rules, i.InspectedBytes, i.FlowsBypassed, i.FlowsBlocked)
	for _, q := range i.Queues {
		served := ""
		if !q.Bound {
			served = "nobody serves it; "
		}
		row("", "queue %s: %s%d packets, %d dropped, %d waiting; without room: missed %d, dropped %d", q.Number, served, q.Packets, q.Dropped, q.Waiting, q.Missed, q.QueueDropped+q.SocketDropped)
	}
}

// first names the first of several rows.
func first(i int, name string) string {
	if i == 0 {
		return name
	}
	return ""
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func since(unix int64, now time.Time) string {
	return max(0, now.Sub(time.Unix(unix, 0))).Truncate(time.Second).String()
}
