package rule

import "strings"

func parseMessage(p *parser, o *option) error {
	if p.rule.Message != "" {
		return faultf(o.at, "msg is given twice")
	}
	text, ok := unquote(o.value)
	if !ok {
		return faultf(o.valueAt, `msg is not in quotes, or has a quote within that is not \"`)
	}
	if text == "" {
		return faultf(o.valueAt, "msg is empty")
	}
	p.rule.Message = text
	return nil
}

// once reads a number from low to high that may be given once.
func once(o *option, to *uint32, unset uint32, low, high uint64) error {
	if *to != unset {
		return faultf(o.at, "%s is given twice", o.keyword.name)
	}
	s := o.value
	if text, ok := unquote(s); ok {
		s = text
	}
	v, ok := number(s)
	if !ok || v < low || v > high {
		return faultf(o.valueAt, "%s is a number from %d to %d, not %q", o.keyword.name, low, high, o.value)
	}
	*to = uint32(v)
	return nil
}

func parseSID(p *parser, o *option) error { return once(o, &p.rule.SID, 0, 1, 1<<32-1) }

func parseRevision(p *parser, o *option) error {
	if p.revised {
		return faultf(o.at, "rev is given twice")
	}
	p.revised = true
	return once(o, &p.rule.Revision, 0, 0, 1<<32-1)
}

func parseGID(p *parser, o *option) error { return once(o, &p.rule.GID, 0, 0, 1<<32-1) }

func parsePriority(p *parser, o *option) error {
	v := uint32(p.rule.Priority)
	err := once(o, &v, 0, 1, 255)
	p.rule.Priority = uint8(v)
	return err
}

func parseClass(p *parser, o *option) error {
	if p.rule.Class != "" {
		return faultf(o.at, "classtype is given twice")
	}
	s := o.value
	if text, ok := unquote(s); ok {
		s = text
	}
	if !isName(s) {
		return faultf(o.valueAt, "%q cannot name a class", o.value)
	}
	p.rule.Class = s
	return nil
}

func parseReference(p *parser, o *option) error {
	s := o.value
	if text, ok := unquote(s); ok {
		s = text
	}
	system, id, ok := part(s)
	id = strings.ReplaceAll(trim(id), `\;`, ";")
	if !ok || !isName(system) || id == "" {
		return faultf(o.valueAt, "reference is written system,id")
	}
	p.rule.References = append(p.rule.References, Reference{strings.ToLower(system), id})
	return nil
}

func parseMetadata(p *parser, o *option) error {
	s := o.value
	if p.rule.Metadata == nil {
		p.rule.Metadata = make([]Pair, 0, strings.Count(s, ",")+1)
	}
	for more := true; more; {
		var item string
		item, s, more = part(s)
		if key, value := word(item); key != "" {
			p.rule.Metadata = append(p.rule.Metadata, Pair{key, value})
		}
	}
	return nil
}

func parseTarget(p *parser, o *option) error {
	switch o.value {
	case "src_ip":
		p.rule.Target = TargetSource
	case "dest_ip", "dst_ip":
		p.rule.Target = TargetDestination
	default:
		return faultf(o.valueAt, "target is src_ip or dest_ip, not %q", o.value)
	}
	return nil
}

func parseNoAlert(p *parser, o *option) error {
	if p.rule.Alert == AlertAlways {
		return faultf(o.at, "alert and noalert exclude each other")
	}
	p.rule.Alert = AlertNever
	return nil
}

func parseAlert(p *parser, o *option) error {
	if p.rule.Alert == AlertNever {
		return faultf(o.at, "alert and noalert exclude each other")
	}
	p.rule.Alert = AlertAlways
	return nil
}
