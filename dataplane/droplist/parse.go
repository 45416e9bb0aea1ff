package droplist

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// maxLine of a file, in bytes.
const maxLine = 4096

// Parse reads a list as feeds publish it: an address or prefix a line; what
// follows it behind a space, comma or semicolon is a remark, as is a line that
// begins with # or ;. Host bits are masked off. A line that is none of this is
// an error with its number: a list is taken whole or not at all.
func Parse(r io.Reader) ([]netip.Prefix, error) {
	var out []netip.Prefix
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, maxLine), maxLine)
	number := 0
	for s.Scan() {
		number++
		text := strings.TrimSpace(s.Text())
		if number == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		if i := strings.IndexAny(text, " \t,;#"); i >= 0 {
			text = text[:i]
		}
		p, err := parsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		out = append(out, p)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	return out, nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return p, fmt.Errorf("%q is no prefix", text)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no address or prefix", text)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}
