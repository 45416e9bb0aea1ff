package firewall

import "ngfw.sh/dataplane/netfilter"

// load writes the nftables table and notes what it looks like. mu is held.
func (s *Section) load(rules netfilter.Ruleset) error {
	if err := s.deps.Netfilter(rules); err != nil {
		return err
	}
	if s.deps.Loaded == nil {
		return nil
	}
	loaded, err := s.deps.Loaded()
	if err != nil {
		loaded = err.Error() // what nothing equals: the guard loads it once more
	}
	s.loaded = loaded
	return nil
}

// Guard loads the nftables table again if somebody else has changed or flushed
// it: without it the packet programs still judge, but what they let go out would
// not be translated, and interfaces without programs would be open.
func (s *Section) Guard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.enforced || s.deps.Loaded == nil {
		return
	}
	now, err := s.deps.Loaded()
	if err == nil && now == s.loaded {
		s.lacking = ""
		return
	}
	if err == nil {
		err = s.load(s.ruleset)
	}
	if err != nil {
		s.lacking = err.Error()
		s.deps.Log.Error("the nftables table is not as it should be", "err", err)
		return
	}
	s.lacking = ""
	s.restored++
	s.deps.Log.Warn("the nftables table was changed by somebody else and is loaded again", "times", s.restored)
}

// Degraded lists what works worse than it could.
func (s *Section) Degraded() []string {
	list := s.Lacking()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lacking != "" {
		list = append(list, "nftables: "+s.lacking)
	}
	return list
}

// Lacking says what of the policy is not as it wants.
func (s *Section) Lacking() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unfit != "" {
		list = append(list, "firewall: the stored policy is not enforced: "+s.unfit)
	}
	if s.stale != "" {
		list = append(list, "geoip: countries are those of before: "+s.stale)
	}
	return list
}

// Restored is how often the table had to be loaded again.
func (s *Section) Restored() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restored
}
