package rule

import (
	"fmt"
	"strings"
)

// Version is one of the rule language: major, minor, patch.
type Version [3]uint16

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

func (v Version) compare(w Version) int {
	for i := range v {
		if v[i] != w[i] {
			return int(v[i]) - int(w[i])
		}
	}
	return 0
}

// ParseVersion reads a version; what is left out is 0.
func ParseVersion(s string) (Version, bool) {
	var v Version
	for i, rest, more := 0, s, true; more; i++ {
		var n string
		n, rest, more = strings.Cut(rest, ".")
		if d := strings.IndexByte(n, '-'); d > 0 { // -dev, -rc1
			n = n[:d]
		}
		x, ok := number(n)
		if !ok || x > 65535 || i > 2 {
			return v, false
		}
		v[i] = uint16(x)
	}
	return v, true
}

// requires says what a rule asks for and is not there; "" if all is.
func (p *parser) requires(s string, at int) (unmet string, err error) {
	version := false
	for more := true; more; {
		var item string
		item, s, more = part(s)
		key, value := word(item)
		if value == "" {
			return "", faultf(at, "%q is no requirement: it is written keyword expression", item)
		}
		ok := false
		switch key {
		case "version":
			if version {
				return "", faultf(at, "the version is required twice")
			}
			version = true
			if ok, err = meets(p.cfg.Version, value, at); err != nil {
				return "", err
			}
		case "feature":
			ok = p.cfg.Features[value]
		case "keyword":
			_, ok = keywords[value]
		}
		if !ok && unmet == "" {
			unmet = item
		}
	}
	return unmet, nil
}

// meets evaluates alternatives of ranges: >= 7.0.4 < 8 | >= 8.0.3.
func meets(v Version, s string, at int) (bool, error) {
	met := false
	for more := true; more; {
		var alternative string
		alternative, s, more = strings.Cut(s, "|")
		alternative = trim(alternative)
		if alternative == "" {
			return false, faultf(at, "an alternative of the version is empty")
		}
		all := true
		for alternative != "" {
			op, rest := symbol(alternative)
			number := rest
			end := strings.IndexAny(rest, " \t<>")
			if end >= 0 {
				number, rest = rest[:end], trim(rest[end:])
			} else {
				rest = ""
			}
			w, ok := ParseVersion(number)
			if !ok || op == Equal || op == NotEqual {
				return false, faultf(at, "a version is compared by < <= > or >=, as in >= 8.0.1")
			}
			c := v.compare(w)
			all = all && (op == Less && c < 0 || op == LessEqual && c <= 0 || op == Greater && c > 0 || op == GreaterEqual && c >= 0)
			alternative = rest
		}
		met = met || all
	}
	return met, nil
}

// parseRequires is reached only by rules whose requirements are met.
func parseRequires(p *parser, o *option) error {
	if p.rule.Requirements != "" {
		p.rule.Requirements += ", "
	}
	p.rule.Requirements += o.value
	return nil
}
