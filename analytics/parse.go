package analytics

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"ngfw.sh/internal/fault"
)

// maxValues bounds the alternatives of one parameter.
const maxValues = 100

// list splits a parameter that may be repeated and may hold commas, and reads
// each value. An empty parameter is one that was not given.
func list[T any](param string, values []string, read func(string) (T, error)) ([]T, error) {
	var out []T
	for _, v := range values {
		if v == "" && len(values) == 1 {
			return nil, nil
		}
		for _, text := range strings.Split(v, ",") {
			text = strings.TrimSpace(text)
			if text == "" {
				return nil, fault.Invalid(param, "holds an empty value")
			}
			if len(out) == maxValues {
				return nil, fault.Invalid(param, "has more than %d values", maxValues)
			}
			t, err := read(text)
			if err != nil {
				return nil, fault.Invalid(param, "%.100q %s", text, err)
			}
			out = append(out, t)
		}
	}
	return out, nil
}

// wrong is what is wrong with a value, without the value.
type wrong string

func (w wrong) Error() string { return string(w) }

// enumeration reads one of names, of which the first is none.
func enumeration[T ~int8](names []string) func(string) (T, error) {
	return func(s string) (T, error) {
		for i, n := range names[1:] {
			if s == n {
				return T(i + 1), nil
			}
		}
		return 0, wrong("is not one of " + strings.Join(names[1:], ", "))
	}
}

var protocolNumbers = map[string]uint8{
	"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "sctp": 132,
}

func readProtocol(s string) (uint8, error) {
	if n, ok := protocolNumbers[strings.ToLower(s)]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, wrong("is not a protocol (tcp, udp, icmp, icmpv6, gre, esp, ah, sctp, or 0 to 255)")
	}
	return uint8(n), nil
}

// readPrefix reads an address or a CIDR, whose host bits do not matter.
func readPrefix(s string) (netip.Prefix, error) {
	const what = wrong("is not an IPv4 or IPv6 address or CIDR")
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, what
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, what
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, wrong("is wider than the IPv4 addresses mapped into IPv6: write it as IPv4")
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

func readPorts(s string) (portRange, error) {
	const what = wrong("is not a port (0 to 65535) or a range a-b")
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	lo, err := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	hi, err2 := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if err != nil || err2 != nil {
		return portRange{}, what
	}
	if lo > hi {
		return portRange{}, wrong("is a reversed range")
	}
	return portRange{uint16(lo), uint16(hi)}, nil
}

func readText(s string) (string, error) {
	if len(s) > maxText || strings.ContainsFunc(s, unicode.IsControl) {
		return "", wrong("is too long or holds control characters")
	}
	return s, nil
}

// readCountry reads a code of ISO 3166-1 alpha-2.
func readCountry(s string) (string, error) {
	if len(s) != 2 || strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) }) {
		return "", wrong("is not a country code of two letters")
	}
	return strings.ToUpper(s), nil
}

func readRule(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return 0, wrong("is not the id of a rule")
	}
	return n, nil
}

// maxTime is the last second that the table's times reach, in 2299.
const maxTime = 10_413_792_000

// readTime reads Unix seconds with up to nine decimals as microseconds,
// rounded up: a row of that very microsecond lies at or after the moment.
func readTime(param, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	whole, frac, _ := strings.Cut(s, ".")
	digits := func(t string) bool { return strings.Trim(t, "0123456789") == "" }
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || !digits(whole) || !digits(frac) || len(frac) > 9 || strings.HasSuffix(s, ".") {
		return 0, fault.Invalid(param, "%.100q is not a time in Unix seconds", s)
	}
	if seconds > maxTime || seconds == 0 {
		return 0, fault.Invalid(param, "%.100q is not within the times that logs can have", s)
	}
	nanos, _ := strconv.ParseInt((frac + "000000000")[:9], 10, 64) // digits
	return seconds*1e6 + int64(math.Ceil(float64(nanos)/1000)), nil
}
