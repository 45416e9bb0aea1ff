package rule

import "strings"

// header reads what stands before the options and returns where they begin.
func (p *parser) header(text string) (open int, err error) {
	at := 0
	field := func(what string) (string, int, error) {
		for at < len(text) && isSpace(text[at]) {
			at++
		}
		from, depth := at, 0
		for at < len(text) {
			c := text[at]
			switch {
			case c == '[':
				depth++
			case c == ']':
				depth--
			}
			if depth <= 0 && (isSpace(c) && !dangling(text[from:at]) || c == '(') {
				break
			}
			at++
		}
		if from == at {
			return "", at, faultf(from, "the rule ends before its %s", what)
		}
		return trim(text[from:at]), from, nil
	}
	r := p.rule
	word, from, err := field("action")
	if err != nil {
		return 0, err
	}
	var ok bool
	if r.Action, ok = parseAction(word); !ok {
		return 0, faultf(from, "%q is no action: alert, pass, drop, reject, rejectsrc, rejectdst or rejectboth", word)
	}
	if word, from, err = field("protocol"); err != nil {
		return 0, err
	}
	if r.Protocol, ok = ParseProtocol(word); !ok {
		lower := strings.ToLower(word)
		if r.Protocol, ok = ParseProtocol(lower); !ok {
			return 0, faultf(from, "unknown protocol %q%s", word, nearest(lower, keysOf(protocols)))
		}
	}
	r.Apps = r.Protocol.Apps()
	if r.Source, err = p.endpoint(field, "source addresses", "source ports"); err != nil {
		return 0, err
	}
	if word, from, err = field("direction"); err != nil {
		return 0, err
	}
	switch word {
	case "->":
	case "<>":
		r.Direction = EitherWay
	case "=>":
		r.Direction = Transaction
	default:
		return 0, faultf(from, "%q is no direction: -> or <> or =>", word)
	}
	if r.Destination, err = p.endpoint(field, "destination addresses", "destination ports"); err != nil {
		return 0, err
	}
	for at < len(text) && isSpace(text[at]) {
		at++
	}
	if at == len(text) || text[at] != '(' {
		return 0, faultf(at, "the options are missing: they follow the header in parentheses")
	}
	return at, nil
}

// dangling says whether an expression goes on after a space: ! 1.1.1.1.
func dangling(s string) bool { return s == "!" }

func (p *parser) endpoint(field func(string) (string, int, error), addresses, ports string) (e Endpoint, err error) {
	text, from, err := field(addresses)
	if err != nil {
		return e, err
	}
	if e.Addresses = p.addresses[text]; e.Addresses == nil {
		if e.Addresses, err = parseAddresses(text, from); err != nil {
			return e, err
		}
		if _, err := p.resolver.Addresses(e.Addresses); err != nil {
			return e, faultf(from, "%s: %s", addresses, err)
		}
		p.addresses[text] = e.Addresses
	}
	if text, from, err = field(ports); err != nil {
		return e, err
	}
	if e.Ports = p.ports[text]; e.Ports == nil {
		if e.Ports, err = parsePorts(text, from); err != nil {
			return e, err
		}
		if _, err := p.resolver.Ports(e.Ports); err != nil {
			return e, faultf(from, "%s: %s", ports, err)
		}
		p.ports[text] = e.Ports
	}
	return e, nil
}
