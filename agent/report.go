package agent

import (
	"context"
	"os"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"

	"ngfw.sh/agent/control"
	"ngfw.sh/agent/hits"
	"ngfw.sh/policy"
)

// ruleCounters are the kernel's counters by rule id, that of a NAT rule negative,
// for package hits.
func (a *Agent) ruleCounters() (string, map[int64]hits.Count, error) {
	counters, err := a.dataplane.Counters()
	if err != nil {
		return "", nil, err
	}
	instance, err := a.dataplane.Instance()
	if err != nil {
		return "", nil, err
	}
	rules := map[int64]hits.Count{}
	for d, c := range counters {
		id := int64(d.ID())
		switch {
		case c.Packets == 0:
			continue
		case d.Kind() == policy.DeciderTranslation:
			id = -id // NAT rules have ids of their own
		case d.Kind() != policy.DeciderRule:
			continue
		}
		rules[id] = hits.Count{Packets: c.Packets, Bytes: c.Bytes, Last: c.Last.Unix()}
	}
	return strconv.FormatUint(instance, 10), rules, nil
}

// ruleReport is every rule that has counted.
func (a *Agent) ruleReport() []*ngfwv1.RuleCounter { return a.counted(1) }

// natReport is every NAT rule that has counted.
func (a *Agent) natReport() []*ngfwv1.RuleCounter { return a.counted(-1) }

func (a *Agent) counted(sign int64) []*ngfwv1.RuleCounter {
	counts, err := a.hits.Counts()
	if err != nil {
		a.log.Warn("rule counters unreadable", "err", err)
		return nil
	}
	out := make([]*ngfwv1.RuleCounter, 0, len(counts))
	for id, c := range counts {
		if id*sign > 0 {
			out = append(out, &ngfwv1.RuleCounter{RuleId: id * sign, Hits: int64(c.Packets), HitBytes: int64(c.Bytes), LastHit: c.Last})
		}
	}
	return out
}

// maxLacks bounds what a section is told to lack.
const maxLacks = 16

// lacking is what of the applied sections is not as they want.
func (a *Agent) lacking() (out []*ngfwv1.SectionLack) {
	for _, s := range []struct {
		section string
		version int64
		lacks   []string
	}{
		{sectionFirewall, a.firewall.Version(), a.firewall.Lacking()},
		{sectionIDS, a.inspect.Version(), a.inspect.Degraded()},
		{sectionQoS, a.shape.Version(), a.shape.Degraded()},
	} {
		slices.Sort(s.lacks)
		for _, why := range s.lacks[:min(len(s.lacks), maxLacks)] {
			out = append(out, &ngfwv1.SectionLack{Section: s.section, Version: s.version, Reason: why})
		}
	}
	return out
}

// dataplaneReport is what the packet programs and the spool count.
func (a *Agent) dataplaneReport() *ngfwv1.Dataplane {
	r := &ngfwv1.Dataplane{
		PolicyRevision: a.firewall.Version(), Flows: int64(a.flows.Flows()),
		Drops: map[string]int64{}, Degraded: slices.Concat(a.dataplane.Degraded(), a.firewall.Degraded(), a.feed.Degraded(), a.inspect.Degraded(), a.shape.Degraded(), a.refused.Degraded()),
		IdsRules: a.inspect.Rules(), Countries: proto.Bool(a.firewall.HasCountries()), Lacking: a.lacking(),
	}
	stats, err := a.dataplane.Stats()
	if err != nil {
		a.log.Warn("statistics unreadable", "err", err)
	}
	r.FastpathPackets = int64(stats.FastPackets)
	r.Packets, r.Bytes, r.EventsLost = int64(stats.Packets), int64(stats.Bytes), int64(stats.EventsLost)
	drops, err := a.dataplane.Drops()
	if err != nil {
		a.log.Warn("drop counters unreadable", "err", err)
	}
	for reason, c := range drops {
		r.Drops[reason.String()] = int64(c.Packets)
	}
	s := a.spool.Stats()
	r.Spool = &ngfwv1.Spool{
		Bytes: int64(s.Bytes), Batches: int64(s.Batches), DroppedBatches: int64(s.DroppedBatches), DroppedRows: int64(s.DroppedRows), Error: s.Error,
	}
	return r
}

func (a *Agent) statusReport(ctx context.Context) *ngfwv1.Status {
	return &ngfwv1.Status{Status: a.telemetry.Status(ctx), Hardware: a.telemetry.Hardware(ctx)}
}

// Legend gives the names of a revision to the flow log.
func (a *Agent) Legend(revision int64) policy.Legend { return a.firewall.Legend(revision) }

// status answers `ngfw-agent status`.
func (a *Agent) status() control.Status {
	s := control.Status{Version: a.cfg.Version, PID: os.Getpid(), Started: a.started.Unix(), Mode: a.mode.String()}
	s.Take(a.dataplaneReport())
	legend := a.firewall.Legend(s.PolicyRevision)
	for _, p := range a.dataplane.Ports() {
		s.Programs = append(s.Programs, control.Program{
			Interface: p.Name, Zone: legend.Zone(p.Zone), XDP: string(p.XDP), TC: string(p.TC), FastPath: p.Fast,
		})
	}
	s.DropLists, s.Guards = a.dropLists(), a.guards()
	s.QoS = a.queues()
	s.Inspection = a.inspectionReport()
	s.Link = control.Link{State: "off", Server: a.cfg.Settings.Server}
	switch {
	case a.cfg.PolicyFile != "":
		s.PolicySource = "file"
	case s.PolicyRevision > 0:
		s.PolicySource = "disk"
	}
	if a.link == nil {
		return s
	}
	l := a.link.State()
	s.Link.State, s.Link.DeviceID, s.Link.Error = "connecting", l.DeviceID, l.LastError
	if l.Connected {
		s.Link.State, s.PolicySource = "connected", "cloud"
	}
	if !l.Since.IsZero() {
		s.Link.Since = l.Since.Unix()
	}
	return s
}
