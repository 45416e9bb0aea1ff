package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"ngfw.sh/agent/control"
	"ngfw.sh/dataplane"
	"ngfw.sh/policy"
)

func traceCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace [--host A] [--protocol P] [--port N] …",
		Short: "Show what becomes of live packets, step by step",
		Long: "Tell of real packets as they pass the packet programs: the fast path taken or not and why, drop lists and guards, zones,\n" +
			"state, rules, NAT, and how they leave; with the steps and words of simulate. Packets that the fast path redirects are shown\n" +
			"too, which tcpdump does not see. Addresses are those on the wire or those that the packet's flow began with; both directions\n" +
			"of a flow are shown, or with --one-way only packets that are as asked.\n" +
			"It ends after --duration (also in the kernel, whatever happens to this command and the agent), --count packets, or Ctrl-C.\n" +
			"Exit code 1: the agent is not running, or another trace is.",
		Args: usageArgs(cobra.NoArgs),
	}
	asJSON := outputFlag(cmd)
	short := cmd.Flags().Bool("json", false, "the same as -o json: a line a packet, and a last one with the sums")
	socket := cmd.Flags().String("socket", "", "the agent's control `socket`, if not that of the settings")
	asked := traceFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		inJSON, err := asJSON()
		if err != nil {
			return err
		}
		request, err := asked()
		if err != nil {
			return err
		}
		if *socket, err = controlSocket(cmd, *socket); err != nil {
			return err
		}
		show := traceText(env.Stdout)
		if inJSON || *short {
			show = traceJSON(env.Stdout)
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, unix.SIGTERM)
		defer stop()
		shown := 0
		sum, err := control.Trace(ctx, *socket, request, func() {
			fmt.Fprintln(env.Stderr, "tracing; Ctrl-C ends it")
		}, func(p dataplane.TracePacket) error {
			shown++
			return show(control.TraceLine{Packet: &p})
		})
		if errors.Is(err, context.Canceled) && cmd.Context().Err() == nil { // Ctrl-C: the sums stay with the agent
			fmt.Fprintf(env.Stderr, "%d packets shown\n", shown)
			return nil
		}
		if err != nil {
			return err
		}
		return show(control.TraceLine{End: &sum})
	}
	return cmd
}

// traceFlags declares the flags of a request, and returns their reader.
func traceFlags(cmd *cobra.Command) func() (control.TraceRequest, error) {
	var r control.TraceRequest
	f := cmd.Flags()
	prefixes := map[string]*netip.Prefix{"host": &r.Host, "src": &r.Src, "dst": &r.Dst}
	f.String("host", "", "`address` or prefix of either end")
	f.String("src", "", "source `address` or prefix")
	f.String("dst", "", "destination `address` or prefix")
	protocol := f.String("protocol", "", "`protocol`: tcp, udp, icmp …, or a number")
	f.Uint16Var(&r.Port, "port", 0, "`port` of either end")
	f.Uint16Var(&r.SrcPort, "sport", 0, "source `port`")
	f.Uint16Var(&r.DstPort, "dport", 0, "destination `port`")
	f.StringVar(&r.Interface, "interface", "", "`interface` that packets arrive or leave by")
	f.BoolVar(&r.OneWay, "one-way", false, "not the flow's other direction")
	duration := f.Duration("duration", dataplane.DefaultTrace, "how `long`, at most an hour")
	f.IntVar(&r.Count, "count", 0, "end after so many `packets`")
	f.IntVar(&r.Rate, "rate", dataplane.DefaultTraceRate, "`packets` a second at most; what is left out is counted")
	return func() (control.TraceRequest, error) {
		for name, to := range prefixes {
			text, err := f.GetString(name)
			if err != nil || text == "" {
				continue
			}
			if *to, err = parsePrefix(text); err != nil {
				return r, usagef("--%s is an address or a prefix, not %q", name, text)
			}
		}
		if *protocol != "" {
			n, err := policy.ParseProtocol(*protocol)
			if err != nil || n == 0 {
				return r, usagef("--protocol %s: %v", *protocol, err)
			}
			r.Protocol = n
		}
		switch {
		case *duration <= 0 || *duration > dataplane.MaxTrace:
			return r, usagef("--duration is more than nothing and at most %s, not %s", dataplane.MaxTrace, *duration)
		case r.Count < 0:
			return r, usagef("--count is not negative")
		case r.Rate < 1 || r.Rate > 100_000:
			return r, usagef("--rate is from 1 to 100000")
		}
		r.Seconds = duration.Seconds()
		return r, nil
	}
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// traceJSON writes a line a packet.
func traceJSON(out io.Writer) func(control.TraceLine) error {
	lines := json.NewEncoder(out)
	return func(l control.TraceLine) error {
		if l.Packet != nil {
			return lines.Encode(l.Packet)
		}
		return lines.Encode(l)
	}
}

// traceText writes a packet's head and a line a step.
func traceText(out io.Writer) func(control.TraceLine) error {
	return func(l control.TraceLine) error {
		if l.End != nil {
			_, err := fmt.Fprintf(out, "%d packets; left out: %d records beyond the rate, %d without room\n", l.End.Packets, l.End.Skipped, l.End.Lost)
			return err
		}
		return writeTraced(out, l.Packet)
	}
}

func writeTraced(out io.Writer, p *dataplane.TracePacket) error {
	verdict := fmt.Sprintf("%s (%s", p.Action, p.Reason)
	if p.RuleID != nil {
		verdict += " " + strconv.FormatInt(*p.RuleID, 10)
	}
	fmt.Fprintf(out, "#%d %s %s  %s, %d bytes  %s)\n", p.Number, p.Time.Format("15:04:05.000000"), tracedPacket(p.Packet), wireText(p.Packets), p.Bytes, verdict)
	for _, program := range p.Programs {
		for _, s := range program.Stages {
			fmt.Fprintf(out, "    %-10s  %-9s  %-10s  %s\n", program.Program, s.Stage, s.Result, s.Reason)
		}
	}
	if p.Leaves != nil {
		fmt.Fprintf(out, "    leaves      %s\n", tracedPacket(*p.Leaves))
	}
	if p.Note != "" {
		fmt.Fprintf(out, "    note        %s\n", p.Note)
	}
	_, err := fmt.Fprintln(out)
	return err
}

func wireText(packets uint32) string {
	if packets == 1 {
		return "1 packet"
	}
	return fmt.Sprintf("%d packets", packets)
}

// tracedPacket is a packet on one line.
func tracedPacket(p policy.Packet) string {
	text := fmt.Sprintf("%s %s > %s", policy.ProtocolName(p.Protocol), policy.Endpoint(p.Src, p.SrcPort), policy.Endpoint(p.Dst, p.DstPort))
	if p.Protocol == policy.ProtocolICMP || p.Protocol == policy.ProtocolICMPv6 {
		text += fmt.Sprintf(" type %d/%d", p.ICMPType, p.ICMPCode)
	}
	way := p.In + " → " + p.Out
	if p.Out == "" {
		way = "in " + p.In
	}
	if p.VLAN != 0 {
		way += fmt.Sprintf(", VLAN %d", p.VLAN)
	}
	return text + ", " + way
}
