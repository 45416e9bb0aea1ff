package firewall

import "ngfw.sh/dataplane/netfilter"

// Queue has the packets that are for the matcher go to these queues, also under
// every later policy.
func (s *Section) Queue(q netfilter.Queues) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.queues
	s.queues = q
	rules := s.ruleset
	rules.Queues = q
	if !s.enforced || same(rules, s.ruleset) {
		return nil
	}
	if err := s.load(rules); err != nil {
		s.queues = before
		return err
	}
	s.ruleset = rules
	return nil
}
