package qos

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// valueError is of a member of a list, which encoding/json has no path for.
type valueError struct{ path, text string }

func (e *valueError) Error() string { return e.path + " " + e.text }

// DSCP is a codepoint (RFC 2474), 0 to 63. It is read as a number or as one of
// the names of RFC 2474, 2597, 3246, 5865 and 8622, and written as a number.
type DSCP int

var codepoints = map[string]DSCP{
	"BE": 0, "LE": 1, "CS0": 0, "CS1": 8, "CS2": 16, "CS3": 24, "CS4": 32, "CS5": 40, "CS6": 48, "CS7": 56,
	"AF11": 10, "AF12": 12, "AF13": 14, "AF21": 18, "AF22": 20, "AF23": 22,
	"AF31": 26, "AF32": 28, "AF33": 30, "AF41": 34, "AF42": 36, "AF43": 38, "VA": 44, "EF": 46,
}

// UnmarshalJSON reads a number or a name.
func (d *DSCP) UnmarshalJSON(data []byte) error {
	var n int
	if err := json.Unmarshal(data, &n); err == nil {
		*d = DSCP(n)
		return nil
	}
	var name string
	if err := json.Unmarshal(data, &name); err == nil {
		if v, ok := codepoints[strings.ToUpper(name)]; ok {
			*d = v
			return nil
		}
		if n, err := strconv.Atoi(name); err == nil {
			*d = DSCP(n)
			return nil
		}
	}
	return &valueError{"dscp_markings", fmt.Sprintf("%s is no DSCP: write 0 to 63 or a name such as EF or AF41", data)}
}

// Port is a destination port: "443", "8000-8080", either after "tcp/" or "udp/".
// Without a protocol it is of both. JSON may also have a number, and a single port
// is written as one.
type Port string

// UnmarshalJSON reads a string or a number.
func (p *Port) UnmarshalJSON(data []byte) error {
	var n int64
	if err := json.Unmarshal(data, &n); err == nil {
		*p = Port(strconv.FormatInt(n, 10))
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return &valueError{"ports", fmt.Sprintf("%s is no port", data)}
	}
	*p = Port(strings.ReplaceAll(strings.ToLower(s), " ", ""))
	return nil
}

// MarshalJSON writes a single port as a number.
func (p Port) MarshalJSON() ([]byte, error) {
	if n, err := strconv.ParseUint(string(p), 10, 16); err == nil {
		return strconv.AppendUint(nil, n, 10), nil
	}
	return json.Marshal(string(p))
}

// Protocols of a range, by their IANA numbers.
const (
	TCP = 6
	UDP = 17
)

// Range is destination ports of a protocol.
type Range struct {
	Protocol uint8 // TCP, UDP; 0: both
	From, To uint16
}

// Range reads what p says.
func (p Port) Range() (Range, error) {
	var r Range
	text := string(p)
	switch protocol, rest, ok := strings.Cut(text, "/"); {
	case ok && protocol == "tcp":
		r.Protocol, text = TCP, rest
	case ok && protocol == "udp":
		r.Protocol, text = UDP, rest
	case ok:
		return r, fmt.Errorf("%q is neither tcp nor udp", protocol)
	}
	from, to, several := strings.Cut(text, "-")
	if !several {
		to = from
	}
	a, err := strconv.ParseUint(from, 10, 16)
	b, err2 := strconv.ParseUint(to, 10, 16)
	if err != nil || err2 != nil || a == 0 || b < a {
		return r, fmt.Errorf("%q is no port or range of ports between 1 and 65535", string(p))
	}
	r.From, r.To = uint16(a), uint16(b)
	return r, nil
}
