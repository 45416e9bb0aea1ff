package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func (e *evaluation) matches(r Rule) (bool, error) {
	if !r.Enabled || !inZone(r.ZoneFrom, e.from) || !inZone(r.ZoneTo, e.to) {
		return false, nil
	}
	for _, condition := range []func(Rule) (bool, error){
		func(r Rule) (bool, error) { return e.inAddresses(r.Source, e.packet.Src) },
		func(r Rule) (bool, error) { return e.inAddresses(r.Destination, e.packet.Dst) },
		e.hasProtocol, e.hasPort, e.hasICMPType, e.inSchedule,
	} {
		if ok, err := condition(r); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// inZone: any is every zone but SELF, which must be named.
func inZone(named, zone string) bool {
	if named == ZoneAny {
		return zone != ZoneSelf
	}
	return named == zone
}

// inAddresses: one of the list, or with a leading "!" none of it.
func (e *evaluation) inAddresses(list string, addr netip.Addr) (bool, error) {
	list, negated := strings.CutPrefix(strings.TrimSpace(list), "!")
	for text := range strings.SplitSeq(list, ",") {
		item, err := parseAddressItem(strings.TrimSpace(text))
		if err != nil {
			return false, err
		}
		in, err := e.inItem(item, addr, map[string]bool{})
		if err != nil {
			return false, err
		}
		if in {
			return !negated, nil
		}
	}
	return negated, nil
}

func (e *evaluation) inItem(item addressItem, addr netip.Addr, visited map[string]bool) (bool, error) {
	switch item.kind {
	case addressAny:
		return true, nil
	case addressSelf:
		return slices.Contains(e.self, addr), nil
	case addressOne:
		return addr == item.first, nil
	case addressPrefix:
		return item.prefix.Contains(addr), nil // false for the other family
	case addressRange:
		return addr.Is4() == item.first.Is4() && !addr.Less(item.first) && !item.last.Less(addr), nil
	case addressCountry:
		return e.env.Countries != nil && e.env.Countries.Country(addr) == item.name, nil
	case addressMAC:
		return e.from != ZoneSelf && e.packet.SrcMAC != MAC{} && e.packet.SrcMAC == item.mac, nil
	}
	return e.inGroup(item.name, addr, visited)
}

// inGroup looks into each group once: twice the same group cannot add anything.
func (e *evaluation) inGroup(name string, addr netip.Addr, visited map[string]bool) (bool, error) {
	if visited[name] {
		return false, nil
	}
	visited[name] = true
	g, ok := e.policy.groupNamed(name)
	if !ok {
		return false, fmt.Errorf("there is no group @%s", name)
	}
	parse := parseAddressMember
	if g.Type == GroupMAC {
		parse = parseMACMember
	}
	for _, m := range g.Members {
		item, err := parse(m)
		if err != nil {
			return false, err
		}
		if in, err := e.inItem(item, addr, visited); in || err != nil {
			return in, err
		}
	}
	return false, nil
}

func (e *evaluation) hasProtocol(r Rule) (bool, error) {
	switch r.Protocol {
	case "all":
		return true, nil
	case "tcp+udp":
		return e.packet.Protocol == ProtocolTCP || e.packet.Protocol == ProtocolUDP, nil
	}
	n, err := parseOneProtocol(r.Protocol)
	return e.packet.Protocol == n, err
}

func (e *evaluation) hasPort(r Rule) (bool, error) {
	return e.inPorts(r.Port, map[string]bool{})
}

func (e *evaluation) inPorts(list string, visited map[string]bool) (bool, error) {
	if strings.TrimSpace(list) == "*" {
		return true, nil
	}
	ports, err := parsePortList(list)
	if err != nil {
		return false, err
	}
	for _, r := range ports.ranges {
		if r.first <= e.packet.DstPort && e.packet.DstPort <= r.last {
			return true, nil
		}
	}
	for _, name := range ports.groups {
		if visited[name] {
			continue
		}
		visited[name] = true
		g, ok := e.policy.groupNamed(name)
		if !ok {
			return false, fmt.Errorf("there is no group @%s", name)
		}
		for _, m := range g.Members {
			if in, err := e.inPorts(m, visited); in || err != nil {
				return in, err
			}
		}
	}
	return false, nil
}

// hasICMPType: "8" is every code of type 8, "3/4" the one.
func (e *evaluation) hasICMPType(r Rule) (bool, error) {
	if len(r.ICMPTypes) == 0 {
		return true, nil
	}
	kind := strconv.Itoa(int(e.packet.ICMPType))
	return slices.Contains(r.ICMPTypes, kind) ||
		slices.Contains(r.ICMPTypes, kind+"/"+strconv.Itoa(int(e.packet.ICMPCode))), nil
}

// inSchedule: the wall clock of the policy's time zone shows a minute of the
// window, the last one included. A window over midnight belongs to the day it
// starts on. Where the clock is put back the repeated minutes count twice,
// where it is put forward the skipped ones never come. While the clock cannot
// be trusted nothing is accepted by a schedule, and what it refuses is refused; so
// too before 1970-01-13 and after 2099, see clockTime.
func (e *evaluation) inSchedule(r Rule) (bool, error) {
	if !r.Schedule.Enabled {
		return true, nil
	}
	if e.env.ClockUnsynchronised || clockTime(e.packet.Time) == 0 {
		return r.Action != Accept, nil
	}
	zone, err := loadZone(e.policy.TimeZone)
	if err != nil {
		return false, err
	}
	start, err := parseMinute(r.Schedule.Start)
	if err != nil {
		return false, err
	}
	end, err := parseMinute(r.Schedule.End)
	if err != nil {
		return false, err
	}
	local := e.packet.Time.In(zone)
	minute := local.Hour()*60 + local.Minute()
	today, yesterday := int(local.Weekday()), (int(local.Weekday())+6)%7
	on := func(day int) bool { return len(r.Schedule.Days) == 0 || slices.Contains(r.Schedule.Days, day) }
	if start <= end {
		return on(today) && start <= minute && minute <= end, nil
	}
	return on(today) && minute >= start || on(yesterday) && minute <= end, nil
}
