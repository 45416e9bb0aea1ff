package droplist

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// maxLine of a text, in bytes.
const maxLine = 4096

// Content is what the text of a list holds.
type Content struct {
	Prefixes []netip.Prefix
	Bad      int   // lines that are none of the known forms
	FirstBad error // which the first of them is
}

// Parse reads a list, whole or not at all: a line that is none of the forms of
// Read is an error with its number.
func Parse(r io.Reader) ([]netip.Prefix, error) {
	c, err := Read(r)
	if err = errors.Join(err, c.FirstBad); err != nil {
		return nil, err
	}
	return c.Prefixes, nil
}

// Read reads a list as feeds publish them: an address or prefix a line; what
// follows it behind a space, comma or semicolon is a remark ("192.0.2.0/24 ; SBL1"),
// as is a line that begins with # or ;. A line of JSON names one as cidr, prefix,
// network, ip or ip_address. Columns that a first line or a remark names, in the
// manner of CSV, are looked through for one of these names; without names it is
// the first. Host bits are masked off.
func Read(r io.Reader) (Content, error) {
	var c Content
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, maxLine), maxLine)
	number, column := 0, 0
	for s.Scan() {
		number++
		text := strings.TrimSpace(s.Text())
		if number == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if text == "" {
			continue
		}
		if text[0] == '#' || text[0] == ';' {
			if at := columnOf(text[1:]); at >= 0 {
				column = at
			}
			continue
		}
		p, err := parseLine(text, column)
		if err == errRemark {
			continue
		}
		if at := columnOf(text); err != nil && at >= 0 && len(c.Prefixes) == 0 {
			column = at
			continue
		}
		if err == nil {
			c.Prefixes = append(c.Prefixes, p)
		} else if c.Bad++; c.Bad == 1 {
			c.FirstBad = fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := s.Err(); err != nil {
		return c, fmt.Errorf("line %d: %w", number+1, err)
	}
	return c, nil
}

// errRemark is a line that says something of the list and names no prefix.
var errRemark = errors.New("a remark")

// columnNames are those that feeds give the column of addresses.
var columnNames = []string{"ip", "ip_address", "dst_ip", "dstip", "src_ip", "srcip", "address", "cidr", "prefix", "network"}

// columnOf is the column of addresses in a line that names columns, -1 in others.
func columnOf(line string) int {
	if !strings.Contains(line, ",") {
		return -1
	}
	return slices.IndexFunc(strings.Split(line, ","), func(field string) bool {
		return slices.Contains(columnNames, strings.ToLower(bare(field)))
	})
}

func bare(field string) string { return strings.Trim(field, " \t\"") }

func parseLine(text string, column int) (netip.Prefix, error) {
	if text[0] == '{' {
		return parseObject(text)
	}
	if column > 0 {
		fields := strings.Split(text, ",")
		if column >= len(fields) {
			return netip.Prefix{}, fmt.Errorf("%q has no column %d", text, column+1)
		}
		return parsePrefix(bare(fields[column]))
	}
	if i := strings.IndexAny(text, " \t,;#"); i >= 0 {
		text = text[:i]
	}
	return parsePrefix(bare(text))
}

// parseObject reads a line of JSON; one of type metadata tells of the list
// (Spamhaus' drop_v4.json).
func parseObject(text string) (netip.Prefix, error) {
	var o struct {
		Type, CIDR, Prefix, Network, IP string
		IPAddress                       string `json:"ip_address"`
	}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return netip.Prefix{}, fmt.Errorf("no line of JSON: %w", err)
	}
	for _, name := range []string{o.CIDR, o.Prefix, o.Network, o.IP, o.IPAddress} {
		if name != "" {
			return parsePrefix(name)
		}
	}
	if o.Type == "metadata" {
		return netip.Prefix{}, errRemark
	}
	return netip.Prefix{}, errors.New("the JSON names no cidr, prefix, network, ip or ip_address")
}

func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return p, fmt.Errorf("%q is no prefix", text)
		}
		return unmapped(p.Masked()), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no address or prefix", text)
	}
	return unmapped(netip.PrefixFrom(a, a.BitLen())), nil
}

// unmapped is a prefix of IPv4 as such, if it is one of ::ffff:0:0/96.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}
