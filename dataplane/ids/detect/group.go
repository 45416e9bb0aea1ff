package detect

import (
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

// rememberedPattern is how long a pattern is at least for what it finds in the stream to be remembered
// for transactions: shorter ones are everywhere.
const rememberedPattern = 4

// group puts rules where they are found.
func (c *compiler) group() {
	s := c.set
	s.transactions = map[rule.Protocol]*txRules{}
	var packets [transports][2]building
	var segments, starts, streams, whole [2]building
	type key struct {
		slot int32
		apps rule.AppSet
		dir  app.Direction
	}
	inTx := map[key]*building{}
	for i, sig := range s.rules {
		n := int32(i)
		sig.order = n
		switch sig.class {
		case ofAddresses:
			s.addresses = append(s.addresses, n)
			continue
		case ofProtocol:
			s.protocols = append(s.protocols, n)
			continue
		case ofFrames:
			key, err := frameKeyOf(sig.rule)
			if err == nil {
				if s.frames == nil {
					s.frames = map[frameKey][]int32{}
				}
				s.frames[key] = append(s.frames[key], n)
			}
			continue
		case ofTransactions:
			content, pattern, slot := c.txFast(sig)
			if len(sig.payload) > 0 {
				// What is matched in the stream may come before the rest, and is remembered.
				raw, chunk := c.bestContent(sig, func(b *rule.Buffer) bool { return b.Kind.Layer == rule.Payload && len(b.Transforms) == 0 })
				for _, dir := range sig.directions() {
					if len(chunk) < rememberedPattern || !sig.onStream {
						continue
					}
					if c.cfg.NoPrefilter {
						s.others[overTCP][dir].add(sig, n)
					} else {
						whole[dir].add(raw, chunk, n)
						streams[dir].add(raw, chunk, n)
					}
				}
			}
			for _, dir := range sig.directions() {
				if content == nil || c.cfg.NoPrefilter {
					for _, p := range sig.apps.Protocols() {
						t := s.txRules(p)
						t.others[dir] = append(t.others[dir], n)
					}
					continue
				}
				k := key{slot, sig.apps, dir}
				if inTx[k] == nil {
					inTx[k] = &building{slot: slot}
				}
				inTx[k].add(content, pattern, n)
			}
			continue
		}
		content, pattern := c.payloadFast(sig)
		if c.cfg.NoPrefilter {
			content = nil
		}
		for _, dir := range sig.directions() {
			for _, t := range sig.transports() {
				if content == nil {
					s.others[t][dir].add(sig, n)
					continue
				}
				if t != overTCP {
					packets[t][dir].add(content, pattern, n)
					continue
				}
				whole[dir].add(content, pattern, n)
				if !sig.onlyStream() {
					packets[t][dir].add(content, pattern, n)
				}
				if sig.onPacket {
					if nearStart(content) {
						starts[dir].add(content, pattern, n)
					} else {
						segments[dir].add(content, pattern, n)
					}
				}
				if sig.onStream {
					streams[dir].add(content, pattern, n)
				}
			}
		}
	}
	for dir := range 2 {
		for t := range transports {
			s.packets[t][dir] = packets[t][dir].done(c.cfg.Seed)
		}
		s.segments[dir], s.streams[dir] = segments[dir].done(c.cfg.Seed), streams[dir].done(c.cfg.Seed)
		s.whole[dir], s.starts[dir] = whole[dir].done(c.cfg.Seed), starts[dir].done(c.cfg.Seed)
	}
	twins := c.twins()
	for k, b := range inTx {
		// Patterns of both are searched for in both.
		to, ok := twins[k.slot]
		other := key{to, k.apps, k.dir}
		if !ok || inTx[other] == nil {
			continue
		}
		inTx[other].merge(b)
		delete(inTx, k)
	}
	// Rules of several protocols are in the searches of each: as one search, since the sets
	// of protocols are few.
	for k, b := range inTx {
		x := b.done(c.cfg.Seed)
		for from, to := range twins {
			if to == k.slot {
				x.twin = from
			}
		}
		for _, p := range k.apps.Protocols() {
			t := s.txRules(p)
			t.searches[k.dir] = append(t.searches[k.dir], x)
		}
	}
	for _, t := range s.transactions {
		for dir := range t.searches {
			sortSearches(t.searches[dir])
		}
	}
}

func (s *Set) txRules(p rule.Protocol) *txRules {
	t := s.transactions[p]
	if t == nil {
		t = &txRules{}
		s.transactions[p] = t
	}
	return t
}

// directions are those in which the rule is looked for.
func (s *signature) directions() []app.Direction {
	switch {
	case s.toServer && s.toClient:
		return []app.Direction{app.ToServer, app.ToClient}
	case s.toServer:
		return []app.Direction{app.ToServer}
	}
	return []app.Direction{app.ToClient}
}

// transports are those whose packets the rule can match.
func (s *signature) transports() []int {
	switch p := s.transport; {
	case p.IsApp():
		switch p.Transports() {
		case rule.OverTCP:
			return []int{overTCP}
		case rule.OverUDP:
			return []int{overUDP}
		}
		return []int{overTCP, overUDP}
	case p == rule.TCP || p == rule.TCPPacket || p == rule.TCPStream:
		return []int{overTCP}
	case p == rule.UDP:
		return []int{overUDP}
	case p == rule.IP || p == rule.IPv4 || p == rule.IPv6 || p == rule.PacketHeader || p == rule.Ethernet:
		return []int{overTCP, overUDP, overOther}
	}
	return []int{overOther}
}

// maxPorts bounds how many ports of a rule are listed one by one.
const maxPorts = 32

// fewPorts says whether a set is worth listing.
func fewPorts(s *rule.PortSet) bool {
	if s == nil {
		return false
	}
	total := 0
	for _, r := range s.Ranges {
		total += int(r.To-r.From) + 1
	}
	return total <= maxPorts
}

func (l *portLists) add(s *signature, n int32) {
	list, set := &l.ports, s.dport
	switch {
	case s.either || s.both:
		l.any = append(l.any, n)
		return
	case fewPorts(s.dport):
	case fewPorts(s.sport):
		list, set = &l.from, s.sport
	default:
		l.any = append(l.any, n)
		return
	}
	if *list == nil {
		*list = map[uint16][]int32{}
	}
	for _, r := range set.Ranges {
		for p := int(r.From); p <= int(r.To); p++ {
			(*list)[uint16(p)] = append((*list)[uint16(p)], n)
		}
	}
}
