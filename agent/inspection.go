package agent

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"ngfw.sh/agent/inspect"
	"ngfw.sh/agent/ruleset"
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
	a.inspect = inspect.New(cfg, inspect.Deps{
		Log: a.log, Kernel: a.dataplane, Sets: ruleset.New(ruleset.DefaultConfig(filepath.Join(s.StateDir, "rulesets")), nil),
		Queue: a.firewall.Queue, Facts: a.facts, Alerts: a.spool.AppendAlerts, Events: events, Registerer: a.registry,
		Found: func(client, server netip.AddrPort, protocol uint8, app string) {
			a.shape.Found(client, server, protocol, app)
		},
	})
	return nil
}
