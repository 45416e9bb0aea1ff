package agent

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"ngfw.sh/agent/control"
	"ngfw.sh/agent/inspect"
	"ngfw.sh/agent/ruleset"
	"ngfw.sh/agent/settings"
	"ngfw.sh/config/ids"
)

// openInspection makes the section ids, which inspects nothing yet.
func (a *Agent) openInspection() error {
	s := a.cfg.Settings
	var events io.Writer
	if s.IDS.EVE != "" {
		// Whoever rotates it copies and truncates (logrotate's copytruncate): it is only appended to.
		f, err := os.OpenFile(s.IDS.EVE, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
		if err != nil {
			return fmt.Errorf("open the event log: %w", err)
		}
		a.events, events = f, f
	}
	cfg := inspect.DefaultConfig(s.StateDir)
	if s.IDS.Queues > 0 {
		cfg.Queues = s.IDS.Queues
	}
	cfg.Depth, cfg.Bypass = uint64(s.IDS.Depth), s.IDS.Bypass == settings.BypassOn
	a.inspect = inspect.New(cfg, inspect.Deps{
		Log: a.log, Kernel: a.dataplane, Sets: ruleset.New(ruleset.DefaultConfig(filepath.Join(s.StateDir, "rulesets")), nil),
		Queue: a.firewall.Queue, Facts: a.facts, Cut: func(flow uint64) { a.flows.Cut(flow) }, Alerts: a.spool.AppendAlerts, Events: events, Registerer: a.registry,
		Found: func(client, server netip.AddrPort, protocol uint8, app string) {
			a.shape.Found(client, server, protocol, app)
		},
	})
	return nil
}

// inspectFile inspects by the section in a file, if one is named. It is not stored.
func (a *Agent) inspectFile(ctx context.Context, version int64) error {
	if a.cfg.IDSFile == "" {
		return nil
	}
	doc, err := os.ReadFile(a.cfg.IDSFile)
	if err != nil {
		return fmt.Errorf("read the section ids: %w", err)
	}
	if _, err := a.inspect.Try(ctx, version, doc); err != nil {
		return fmt.Errorf("%s: %w", a.cfg.IDSFile, err)
	}
	return nil
}

// inspectionReport is what the matcher does, for `ngfw-agent status`.
func (a *Agent) inspectionReport() control.Inspection {
	r := a.inspect.Report()
	out := control.Inspection{
		Mode: string(r.Mode), FailOpen: r.FailOpen, Rules: r.Rules, RefusedRules: r.Refused,
		InspectedBytes: r.InspectedBytes, FlowsBypassed: r.Bypassed, FlowsBlocked: r.Blocked,
	}
	if r.Mode == ids.Disabled {
		out.Mode = "off"
	}
	for _, q := range r.Queues {
		out.Queues = append(out.Queues, control.MatcherQueue{
			Number: q.Number, Bound: q.Bound, Packets: q.Packets, Bytes: q.Bytes, Dropped: q.Dropped, Waiting: q.Waiting,
			Missed: q.Missed, QueueDropped: q.QueueDropped, SocketDropped: q.SocketDropped,
		})
	}
	return out
}
