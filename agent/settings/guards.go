package settings

// Guards are flood guards; a rate of 0 is none. A zone that is named has its own
// alone.
type Guards struct {
	GuardRates `yaml:",inline"`
	Zones      map[string]GuardRates `yaml:"zones,omitempty"`
}

// GuardRates bound what may begin.
type GuardRates struct {
	NewFlowsPerSource Rate `yaml:"new_flows_per_source,omitempty"` // an IPv4 address or an IPv6 /64
	SYNsPerInterface  Rate `yaml:"syns_per_interface,omitempty"`
}

// Rate is so many a second in the long run, and so many at once: as many as in a
// second, if burst is 0.
type Rate struct {
	PerSecond uint32 `yaml:"per_second"`
	Burst     uint32 `yaml:"burst,omitempty"`
}

const maxRate = 10_000_000

func (s Settings) validateGuards(refuse refuse) {
	s.Guards.GuardRates.validate("guards.", refuse)
	for zone, rates := range s.Guards.Zones {
		checkEarlyZone("guards.zones", zone, refuse)
		rates.validate("guards.zones."+zone+".", refuse)
	}
}

func (g GuardRates) validate(at string, refuse refuse) {
	for key, r := range map[string]Rate{"new_flows_per_source": g.NewFlowsPerSource, "syns_per_interface": g.SYNsPerInterface} {
		if r.PerSecond > maxRate || r.Burst > maxRate {
			refuse(at+key, "at most %d", maxRate)
		}
		if r.PerSecond == 0 && r.Burst > 0 {
			refuse(at+key+".per_second", "a burst without a rate")
		}
	}
}
