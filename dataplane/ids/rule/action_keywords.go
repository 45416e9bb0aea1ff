package rule

import "strings"

// Tag logs packets after a match.
type Tag struct {
	Host      bool   // of the host, else of the session
	Count     uint32 // 0: the default
	Metric    string // packets, seconds or bytes; "" where there is no count
	Direction string // of a host: src or dst; "": dst
}

func (*Tag) Keyword() string { return "tag" }
func (*Tag) effect()         {}

func (t *Tag) print(b []byte) []byte {
	b = append(b, "tag:session"...)
	if t.Host {
		b = append(b[:len(b)-len("session")], "host"...)
	}
	if t.Metric != "" {
		b = appendUint(append(b, ','), uint64(t.Count))
		b = append(append(b, ','), t.Metric...)
	}
	if t.Direction != "" {
		b = append(append(b, ','), t.Direction...)
	}
	return b
}

func parseTag(p *parser, o *option) error {
	t := &Tag{}
	kind, rest, more := part(o.value)
	switch kind {
	case "session", "":
	case "host":
		t.Host = true
	default:
		return faultf(o.valueAt, "%q cannot be tagged: session or host", kind)
	}
	if more {
		var count string
		var ok bool
		count, rest, more = part(rest)
		if t.Count, ok = seconds(count); !ok || t.Count == 0 || !more {
			return faultf(o.valueAt, "tag is written session or host, count, packets, seconds or bytes, src or dst")
		}
		t.Metric, rest, more = part(rest)
		if _, ok := indexOf([]string{"packets", "seconds", "bytes"}, t.Metric); !ok {
			return faultf(o.valueAt, "%q is not packets, seconds or bytes", t.Metric)
		}
	}
	if more {
		if t.Direction = trim(rest); t.Direction != "src" && t.Direction != "dst" {
			return faultf(o.valueAt, "%q is not src or dst", t.Direction)
		}
		if !t.Host {
			return faultf(o.valueAt, "src and dst are of a host, not of a session")
		}
	}
	p.rule.Effects = append(p.rule.Effects, t)
	return nil
}

// Bypass lets the rest of the flow pass without inspection.
type Bypass struct{}

func (*Bypass) Keyword() string       { return "bypass" }
func (*Bypass) effect()               {}
func (*Bypass) print(b []byte) []byte { return append(b, "bypass"...) }

func parseBypass(p *parser, _ *option) error {
	p.rule.Effects = append(p.rule.Effects, &Bypass{})
	return nil
}

// StoreCertificate keeps the certificates of the TLS session.
type StoreCertificate struct{}

func (*StoreCertificate) Keyword() string       { return "tls.store" }
func (*StoreCertificate) effect()               {}
func (*StoreCertificate) print(b []byte) []byte { return append(b, "tls.store"...) }

func parseStoreCertificate(p *parser, o *option) error {
	p.rule.Effects = append(p.rule.Effects, &StoreCertificate{})
	return p.restrict(o.at, appSet("tls"), o.keyword.name)
}

// SetMark sets bits of the mark of the packet, in a queue of the kernel.
type SetMark struct{ Mark, Mask uint32 }

func (*SetMark) Keyword() string { return "nfq_set_mark" }
func (*SetMark) effect()         {}

func (m *SetMark) print(b []byte) []byte {
	b = appendUint(append(b, "nfq_set_mark:"...), uint64(m.Mark))
	return appendUint(append(b, '/'), uint64(m.Mask))
}

func parseSetMark(p *parser, o *option) error {
	mark, mask, ok := strings.Cut(o.value, "/")
	m, ok1 := number(trim(mark))
	k, ok2 := uint64(1<<32-1), true
	if ok {
		k, ok2 = number(trim(mask))
	}
	if !ok1 || !ok2 || m > 1<<32-1 || k > 1<<32-1 {
		return faultf(o.valueAt, "a mark is written mark/mask, 32 bits each")
	}
	p.rule.Effects = append(p.rule.Effects, &SetMark{uint32(m), uint32(k)})
	return nil
}

// parsePrefilter chooses the condition, or content, before it.
func parsePrefilter(p *parser, o *option) error {
	if p.rule.Prefilter != 0 || p.fast != nil {
		return faultf(o.at, "a rule has only one prefilter or fast_pattern")
	}
	if p.last != nil && p.lastWasMatch {
		p.last.ContentFlags |= IsFastPattern
		p.fast, p.fastAt = p.last, o.at
		return nil
	}
	if p.lastWasMatch || len(p.rule.Conditions) == 0 {
		return faultf(o.at, "prefilter needs a keyword before it that can be checked by itself")
	}
	p.rule.Prefilter = len(p.rule.Conditions)
	return nil
}
