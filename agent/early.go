package agent

import (
	"cmp"

	"ngfw.sh/agent/control"
	"ngfw.sh/agent/feed"
	"ngfw.sh/agent/settings"
	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/droplist"
)

// openEarly sets what is looked at before the policy: flood guards and drop
// lists, so that they hold when the first packet is judged.
func (a *Agent) openEarly() error {
	rate := func(r settings.Rate) dataplane.Rate {
		return dataplane.Rate{PerSecond: r.PerSecond, Burst: cmp.Or(r.Burst, r.PerSecond)}
	}
	g := a.cfg.Settings.Guards
	if err := a.dataplane.SetGuards(dataplane.Guards{Source: rate(g.NewFlowsPerSource), SYN: rate(g.SYNsPerInterface)}); err != nil {
		return err
	}
	c := feed.DefaultConfig()
	for _, l := range a.cfg.Settings.DropLists {
		c.Sources = append(c.Sources, feed.Source{Name: l.Name, File: l.File, Match: droplist.Match(l.Match)})
	}
	a.feed = feed.New(c, feed.Deps{Log: a.log, Load: a.dataplane.SetLists})
	a.feed.Look()
	return nil
}

// dropLists are the lists as status tells of them.
func (a *Agent) dropLists() []control.DropList {
	counts, err := a.dataplane.Lists()
	if err != nil {
		a.log.Warn("drop list counters unreadable", "err", err)
	}
	states, table := a.feed.States()
	out := make([]control.DropList, 0, len(states))
	for _, s := range states {
		l := control.DropList{Name: s.Name, Prefixes: s.Prefixes, Packets: int64(counts[s.Name].Packets), Error: s.Error, LoadedIn: table.Took.Seconds()}
		if !s.Since.IsZero() {
			l.Since = s.Since.Unix()
		}
		out = append(out, l)
	}
	return out
}
