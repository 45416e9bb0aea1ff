package agent

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"ngfw.sh/agent/control"
	"ngfw.sh/agent/feed"
	"ngfw.sh/agent/settings"
	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/droplist"
	"ngfw.sh/internal/outside"
)

// openEarly sets what is looked at before the policy: flood guards and drop
// lists, so that they hold when the first packet is judged.
func (a *Agent) openEarly() error {
	rate := func(r settings.Rate) dataplane.Rate {
		return dataplane.Rate{PerSecond: r.PerSecond, Burst: cmp.Or(r.Burst, r.PerSecond)}
	}
	rates := func(g settings.GuardRates) dataplane.GuardRates {
		return dataplane.GuardRates{Source: rate(g.NewFlowsPerSource), SYN: rate(g.SYNsPerInterface)}
	}
	g := dataplane.Guards{GuardRates: rates(a.cfg.Settings.Guards.GuardRates), Zones: map[string]dataplane.GuardRates{}}
	for zone, of := range a.cfg.Settings.Guards.Zones {
		g.Zones[zone] = rates(of)
	}
	if err := a.dataplane.SetGuards(g); err != nil {
		return err
	}
	c, err := feedConfig(a.cfg.Settings)
	if err != nil {
		return err
	}
	a.feed = feed.New(c, feed.Deps{Log: a.log, Load: a.dataplane.SetLists, Own: ownAddresses})
	a.feed.Look()
	return nil
}

func feedConfig(s settings.Settings) (feed.Config, error) {
	c := feed.DefaultConfig(filepath.Join(s.StateDir, "drop_lists"))
	c.CountriesFile = s.GeoIP
	for _, text := range s.DropAllow {
		p, err := settings.ParsePrefix(text)
		if err != nil {
			return c, err
		}
		c.Allow = append(c.Allow, p)
	}
	for _, l := range s.DropLists {
		from := feed.Source{
			Name: l.Name, Match: droplist.Match(l.Match), Zones: l.Zones, File: l.File,
			URL: l.URL, Every: cmp.Or(l.Every, settings.DefaultEvery), MayShrink: l.MayShrink, Reserved: l.Reserved, Countries: l.Countries,
		}
		if l.URL != "" {
			o := outside.Config{Private: l.Private}
			if l.CAFile != "" {
				text, err := os.ReadFile(l.CAFile)
				if err != nil {
					return c, fmt.Errorf("drop list %s: %w", l.Name, err)
				}
				if o.Roots = x509.NewCertPool(); !o.Roots.AppendCertsFromPEM(text) {
					return c, fmt.Errorf("drop list %s: %s holds no certificate in PEM", l.Name, l.CAFile)
				}
			}
			from.Client = outside.Client(o)
		}
		c.Sources = append(c.Sources, from)
	}
	return c, nil
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
		l := control.DropList{
			Name: s.Name, Zones: s.Zones, URL: s.URL, Prefixes: s.Prefixes, Packets: int64(counts[s.Name].Packets),
			SHA256: s.SHA256, Error: s.Error, Note: s.Note, LoadedIn: table.Took.Seconds(),
		}
		if !s.Since.IsZero() {
			l.Since = s.Since.Unix()
		}
		if !s.Confirmed.IsZero() {
			l.Confirmed = s.Confirmed.Unix()
		}
		out = append(out, l)
	}
	return out
}

// guards are the flood guards as status tells of them.
func (a *Agent) guards() (out []control.Guard) {
	counts, err := a.dataplane.GuardDrops()
	if err != nil {
		a.log.Warn("guard counters unreadable", "err", err)
	}
	add := func(zone string, g settings.GuardRates) {
		for _, k := range []struct {
			guard string
			rate  settings.Rate
		}{{"source", g.NewFlowsPerSource}, {"syn", g.SYNsPerInterface}} {
			if k.rate.PerSecond > 0 {
				out = append(out, control.Guard{
					Guard: k.guard, Zone: zone, PerSecond: k.rate.PerSecond, Burst: cmp.Or(k.rate.Burst, k.rate.PerSecond),
					Packets: int64(counts[k.guard][zone].Packets),
				})
			}
		}
	}
	g := a.cfg.Settings.Guards
	add("", g.GuardRates)
	for _, zone := range slices.Sorted(maps.Keys(g.Zones)) {
		add(zone, g.Zones[zone])
	}
	return out
}
