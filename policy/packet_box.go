package policy

import (
	"fmt"
	"iter"
	"math/bits"
	"net/netip"
	"slices"
)

// Box is a set of packets in the words of a policy: all that come from one of the
// interfaces In, leave by one of Out, and have a source, a destination and a
// service of those named. Protocol may also be a range of numbers ("7-255"), and
// ICMPTypes one of types and codes ("3/4-3/9").
type Box struct {
	ZoneFrom    string   `json:"zone_from"` // under the second policy, or the first where only that has one
	ZoneTo      string   `json:"zone_to"`
	WasZoneFrom string   `json:"was_zone_from,omitempty"` // under the first policy, where it is another; "none": in no zone
	WasZoneTo   string   `json:"was_zone_to,omitempty"`
	In          []string `json:"in"` // empty: the zone has no interface yet
	Out         []string `json:"out"`
	Source      string   `json:"source"`
	Destination string   `json:"destination"`
	Protocol    string   `json:"protocol"`
	Port        string   `json:"port"`
	ICMPTypes   string   `json:"icmp_types,omitempty"`
	SourcePort  string   `json:"source_port,omitempty"`
	NATRuleID   int64    `json:"nat_rule_id,omitempty"` // the packets that this rule gave their destination, as rules see them; the witness is as it arrives

	regions [families]*region
	except  [families][]step
}

func newBox(from, to link) Box {
	b := Box{In: slices.Clone(from.interfaces), Out: slices.Clone(to.interfaces)}
	b.ZoneFrom, b.WasZoneFrom = from.names()
	b.ZoneTo, b.WasZoneTo = to.names()
	for _, list := range []*[]string{&b.In, &b.Out} {
		if *list == nil {
			*list = []string{}
		}
	}
	return b
}

func (l link) names() (zone, was string) {
	switch {
	case l.before == l.after:
		return l.after, ""
	case l.before == "":
		return l.after, "none"
	case l.after == "":
		return "none", l.before
	}
	return l.after, l.before
}

// Contains says whether a packet is one of the box's. A packet that is malformed,
// an ICMP error, or a system rule's under both policies is in no box, although
// its addresses and service may be those of one: no rule gets to see it.
func (b Box) Contains(p Packet) bool {
	point, family, ok := regionOf(p)
	return ok && slices.Contains(b.In, p.In) && slices.Contains(b.Out, p.Out) && !(p.In == InterfaceSelf && p.Out == InterfaceSelf) &&
		b.regions[family] != nil && b.regions[family].covers(&point) && !inAny(&point, b.except[family])
}

// setRegion makes r, the service of which is of one protocol or of whole ones,
// what the box has of a family.
func (b *Box) setRegion(r region, family int) {
	b.regions[family] = &r
	if b.regions[family4] != nil && b.regions[family6] != nil { // joined only where these are
		b.Source, b.Destination = "any", "any"
	} else {
		b.Source, b.Destination = addressText(r[atSource], family), addressText(r[atDestination], family)
	}
	if r[atSourcePort] != allSourcePorts {
		b.SourcePort = rangeText(r[atSourcePort].first.lo, r[atSourcePort].last.lo)
	}
	first, low := serviceOf(r[atService].first)
	last, high := serviceOf(r[atService].last)
	b.Port = "*"
	switch {
	case r[atService] == allServices:
		b.Protocol = "all"
		return
	case first != last:
		b.Protocol = rangeText(uint64(first), uint64(last))
		return
	}
	b.Protocol = ProtocolName(first)
	switch {
	case protocolSize(first) == 1 || low == 0 && high == 65535:
	case HasPorts(first):
		b.Port = rangeText(uint64(low), uint64(high))
	default:
		b.ICMPTypes = icmpText(low, high)
	}
}

func rangeText(first, last uint64) string {
	if first == last {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d-%d", first, last)
}

func icmpText(low, high uint16) string {
	switch {
	case low&0xff == 0 && high&0xff == 0xff:
		return rangeText(uint64(low>>8), uint64(high>>8))
	case low == high:
		return fmt.Sprintf("%d/%d", low>>8, low&0xff)
	}
	return fmt.Sprintf("%d/%d-%d/%d", low>>8, low&0xff, high>>8, high&0xff)
}

// byProtocol cuts a span of services into ones of a part of a protocol, or of
// whole protocols.
func byProtocol(s span) iter.Seq[span] {
	return func(yield func(span) bool) {
		first, low := serviceOf(s.first)
		last, high := serviceOf(s.last)
		if first == last {
			yield(s)
			return
		}
		end := func(p uint8) uint128 { return uint128{0, serviceBase[int(p)+1] - 1} }
		if low != 0 {
			if !yield(span{s.first, end(first)}) {
				return
			}
			first++
		}
		partial := s.last != end(last)
		if !partial {
			yield(span{serviceNumber(first, 0), s.last})
			return
		}
		if first < last && !yield(span{serviceNumber(first, 0), end(last - 1)}) {
			return
		}
		yield(span{serviceNumber(last, 0), serviceNumber(last, high)})
	}
}

// addressText is an address, a CIDR or a range.
func addressText(s span, family int) string {
	if family == family6 && s.last == mappedLast {
		s.last = mappedFirst.prev()
	}
	first, last, width := s.first.addr(), s.last.addr(), 128
	if family == family4 {
		first, last, width = first.Unmap(), last.Unmap(), 32
	}
	if first == last {
		return first.String()
	}
	// A CIDR ends where its first address with all further bits set does.
	differ := uint128{s.first.hi ^ s.last.hi, s.first.lo ^ s.last.lo}
	free := bits.Len64(differ.lo)
	if differ.hi != 0 {
		free = 64 + bits.Len64(differ.hi)
	}
	if prefix := netip.PrefixFrom(first, width-free); prefix.Masked() == prefix && lastOf(prefix) == last {
		return prefix.String()
	}
	return first.String() + "-" + last.String()
}
