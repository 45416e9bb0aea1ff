package policy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Protocol numbers that the language treats specially.
const (
	ProtocolICMP   = 1
	ProtocolTCP    = 6
	ProtocolUDP    = 17
	ProtocolICMPv6 = 58
	ProtocolSCTP   = 132
)

var protocolNumbers = map[string]uint8{
	"icmp": ProtocolICMP, "tcp": ProtocolTCP, "udp": ProtocolUDP, "gre": 47, "esp": 50, "ah": 51,
	"icmpv6": ProtocolICMPv6, "sctp": ProtocolSCTP,
}

// HasPorts says whether a protocol's destination port is read.
func HasPorts(protocol uint8) bool {
	return protocol == ProtocolTCP || protocol == ProtocolUDP || protocol == ProtocolSCTP
}

// parseProtocol gives the protocols that a rule names; all is none by number.
func parseProtocol(s string) (numbers []uint8, all bool, err error) {
	switch s {
	case "all":
		return nil, true, nil
	case "tcp+udp":
		return []uint8{ProtocolTCP, ProtocolUDP}, false, nil
	}
	n, err := parseOneProtocol(s)
	if err != nil {
		return nil, false, fmt.Errorf("%q is no protocol: write all, tcp, udp, tcp+udp, icmp, icmpv6, gre, esp, ah, sctp or a number from 0 to 255", s)
	}
	return []uint8{n}, false, nil
}

// parseOneProtocol reads what one packet can have.
func parseOneProtocol(s string) (uint8, error) {
	if n, ok := protocolNumbers[s]; ok {
		return n, nil
	}
	n, err := parseDecimal(s, 255)
	if err != nil {
		return 0, fmt.Errorf("%q is no protocol: write tcp, udp, icmp, icmpv6, gre, esp, ah, sctp or a number from 0 to 255", s)
	}
	return uint8(n), nil
}

// parseDecimal reads digits alone: no sign, no leading zero.
func parseDecimal(s string, limit uint64) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > limit || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%q is no number from 0 to %d", s, limit)
	}
	return n, nil
}

// portList is a parsed port field: the union of its items.
type portList struct {
	any    bool
	ranges []portRange
	groups []string
}

type portRange struct{ first, last uint16 }

func parsePortList(s string) (portList, error) {
	s = strings.TrimSpace(s)
	switch s {
	case "*":
		return portList{any: true}, nil
	case "":
		return portList{}, errors.New(`is empty: write "*" for every port`)
	}
	var list portList
	for text := range strings.SplitSeq(s, ",") {
		text = strings.TrimSpace(text)
		if name, ok := strings.CutPrefix(text, "@"); ok {
			if err := checkName(name); err != nil {
				return portList{}, fmt.Errorf("%q names no group: the name %w", text, err)
			}
			list.groups = append(list.groups, name)
			continue
		}
		ports, err := parsePortRange(text)
		if err != nil {
			return portList{}, err
		}
		list.ranges = append(list.ranges, ports)
	}
	return list, nil
}

func parsePortRange(s string) (portRange, error) {
	switch {
	case s == "":
		return portRange{}, errors.New("has an empty entry: remove the extra comma")
	case s == "*":
		return portRange{}, errors.New(`"*" stands alone: it is every port already`)
	case s[0] == '!':
		return portRange{}, errors.New(`ports cannot be negated with "!": write the ranges that are meant`)
	}
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	first, err := parseDecimal(strings.TrimSpace(from), 65535)
	if err != nil {
		return portRange{}, fmt.Errorf("%q is no port: write *, a number from 0 to 65535, a range as in 8000-8080, @group, or a list of these", s)
	}
	last, err := parseDecimal(strings.TrimSpace(to), 65535)
	if err != nil {
		return portRange{}, fmt.Errorf("%q is no port: write *, a number from 0 to 65535, a range as in 8000-8080, @group, or a list of these", s)
	}
	if last < first {
		return portRange{}, fmt.Errorf("%q runs backwards: write %d-%d", s, last, first)
	}
	return portRange{uint16(first), uint16(last)}, nil
}

// icmpType is a type, with one code or with any.
type icmpType struct {
	number  uint8
	code    uint8
	anyCode bool
}

func parseICMPType(s string) (icmpType, error) {
	number, code, hasCode := strings.Cut(s, "/")
	n, err := parseDecimal(number, 255)
	if err != nil {
		return icmpType{}, fmt.Errorf("%q is no ICMP type: write a type as in 8, or type/code as in 3/4", s)
	}
	t := icmpType{number: uint8(n), anyCode: !hasCode}
	if hasCode {
		c, err := parseDecimal(code, 255)
		if err != nil {
			return icmpType{}, fmt.Errorf("%q has no ICMP code: write type/code as in 3/4", s)
		}
		t.code = uint8(c)
	}
	return t, nil
}

// takesPorts says whether a rule of these protocols may name ports.
func takesPorts(numbers []uint8, all bool) bool {
	return !all && !slices.ContainsFunc(numbers, func(n uint8) bool { return !HasPorts(n) })
}

// takesICMPTypes says whether a rule of these protocols may name ICMP types.
func takesICMPTypes(numbers []uint8, all bool) bool {
	return !all && len(numbers) == 1 && (numbers[0] == ProtocolICMP || numbers[0] == ProtocolICMPv6)
}
