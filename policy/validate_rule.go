package policy

import (
	"errors"
	"fmt"
)

var (
	errOneMember     = errors.New("holds several: write each as a member of its own")
	errAnyPortMember = errors.New(`"*" is every port: write it in the rule, a group lists some`)
	errMACMember     = errors.New("is a MAC address: put it into a group of type mac")
)

func (v *validator) checkRules() {
	rules := v.policy.Rules
	seen := make(map[int64]int, len(rules))
	valid := v.validRules()
	for i := range rules {
		v.checkID("rules", i, rules[i].ID, seen)
		if !valid[i] {
			v.checkRule(index("rules", i), &rules[i])
		}
	}
}

// validRules says of each rule whether nothing is wrong with it. Paths cost more
// than what is checked, so there are none here.
func (v *validator) validRules() []bool {
	valid := make([]bool, len(v.policy.Rules))
	apart(len(valid), func(from, to int) {
		own := validator{policy: v.policy, zones: v.zones, groups: v.groups}
		for i := from; i < to; i++ {
			r := &v.policy.Rules[i]
			if f := v.known[r.ID]; f != nil && f.of(r) {
				valid[i] = true
				continue
			}
			own.findings = findings{}
			own.checkRule("", r)
			valid[i] = len(own.fields) == 0
		}
	})
	return valid
}

func (v *validator) checkRule(path string, r *Rule) {
	v.failed(path+".name", checkTitle(r.Name))
	v.checkZonePair(path, r.ZoneFrom, r.ZoneTo, "zone_from", "zone_to")
	v.checkAddresses(path+".source", r.Source, true)
	v.checkAddresses(path+".destination", r.Destination, false)
	v.checkService(path, r)
	v.checkAction(path+".action", r.Action)
	v.checkSchedule(path+".schedule", r.Schedule)
}

// checkAddresses judges a source or destination; only a frame's source MAC is
// known.
func (v *validator) checkAddresses(path, s string, source bool) {
	list, err := parseAddressList(s)
	if v.failed(path, err) {
		return
	}
	for _, item := range list.items {
		switch item.kind {
		case addressGroup:
			if source {
				v.checkGroupReference(path, item.name, GroupAddress, GroupMAC)
			} else {
				v.checkGroupReference(path, item.name, GroupAddress)
			}
		case addressMAC:
			if !source {
				v.add(path, "mac: is the frame's source: write it in source")
			}
		}
	}
}

func (v *validator) checkService(path string, r *Rule) {
	numbers, all, err := parseProtocol(r.Protocol)
	known := !v.failed(path+".protocol", err)
	v.checkPorts(path+".port", r.Port, r.Protocol, known && !takesPorts(numbers, all))
	if known && len(r.ICMPTypes) > 0 && !takesICMPTypes(numbers, all) {
		v.add(path+".icmp_types", "protocol %s has no ICMP types: set protocol to icmp or icmpv6, or remove them", r.Protocol)
	}
	for j, s := range r.ICMPTypes {
		_, err := parseICMPType(s)
		v.failed(index(path+".icmp_types", j), err)
	}
}

func (v *validator) checkPorts(path, s, protocol string, portless bool) {
	list, err := parsePortList(s)
	if v.failed(path, err) {
		return
	}
	if !list.any && portless {
		v.add(path, `protocol %s has no ports: set protocol to tcp, udp, tcp+udp or sctp, or port to "*"`, protocol)
	}
	for _, name := range list.groups {
		v.checkGroupReference(path, name, GroupPort)
	}
}

func (v *validator) checkSchedule(path string, s Schedule) {
	if !s.Enabled && s.Start == "" && s.End == "" {
		return
	}
	_, err := parseMinute(s.Start)
	v.failed(path+".start", err)
	_, err = parseMinute(s.End)
	v.failed(path+".end", err)
	for i, d := range s.Days {
		if d < 0 || d > 6 {
			v.failed(index(path+".days", i), fmt.Errorf("must be a day from 0 (Sunday) to 6, not %d", d))
		}
	}
}
