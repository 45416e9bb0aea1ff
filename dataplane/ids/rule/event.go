package rule

import "strings"

// Event matches where a decoder, the stream engine or a protocol's parser saw
// something worth telling.
type Event struct {
	Layer string // decode, stream, engine or app-layer
	Name  string // as in http.request_field_missing; the engine knows which there are
}

func (e *Event) Keyword() string { return e.Layer + "-event" }
func (*Event) condition()        {}

func (e *Event) print(b []byte) []byte {
	return append(append(append(b, e.Layer...), "-event:"...), e.Name...)
}

func parseEvent(p *parser, o *option) error {
	name := strings.ToLower(o.value)
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return faultf(o.valueAt, "%q cannot name an event", o.value)
		}
	}
	e := &Event{strings.TrimSuffix(o.keyword.name, "-event"), name}
	if e.Layer != "app-layer" {
		return p.addCondition(e, 0)
	}
	proto, event, ok := strings.Cut(name, ".")
	if !ok {
		if !strings.HasPrefix(name, "applayer_") {
			return faultf(o.valueAt, "an event is written protocol.event, not %q", o.value)
		}
		return p.addCondition(e, 0)
	}
	found, known := ParseProtocol(proto)
	if !known || !found.IsApp() || event == "" {
		return faultf(o.valueAt, "%q is no event of an application protocol", o.value)
	}
	return p.addCondition(e, found.Apps())
}

// AppProtocol checks which application protocol was detected.
type AppProtocol struct {
	Protocol Protocol // of http, either version
	Special  string   // unknown or failed, instead of Protocol
	Negated  bool
	Mode     string // "", final, original, to_server, to_client, either: of which detection
}

func (*AppProtocol) Keyword() string { return "app-layer-protocol" }
func (*AppProtocol) condition()      {}

func (a *AppProtocol) print(b []byte) []byte {
	b = append(b, "app-layer-protocol:"...)
	if a.Negated {
		b = append(b, '!')
	}
	if a.Special != "" {
		b = append(b, a.Special...)
	} else {
		b = append(b, a.Protocol.String()...)
	}
	if a.Mode != "" {
		b = append(append(b, ','), a.Mode...)
	}
	return b
}

func parseAppProtocol(p *parser, o *option) error {
	a := &AppProtocol{}
	s, at, not := negation(o.value, o.valueAt)
	a.Negated = not
	name, mode, more := part(s)
	name = strings.ToLower(name)
	switch name {
	case "unknown", "failed":
		a.Special = name
	default:
		var ok bool
		if a.Protocol, ok = ParseProtocol(name); !ok || !a.Protocol.IsApp() {
			return faultf(at, "%q is no application protocol%s", name, nearest(name, keysOf(protocols)))
		}
	}
	if more {
		a.Mode = trim(mode)
		if _, ok := indexOf([]string{"final", "original", "to_server", "to_client", "either"}, a.Mode); !ok {
			return faultf(at, "%q is not final, original, to_server, to_client or either", a.Mode)
		}
	}
	if !a.Negated && a.Special == "" && p.rule.Protocol.IsApp() && a.Mode == "" && p.rule.Protocol.Apps()&a.Protocol.Apps() == 0 {
		return faultf(at, "the rule is already one of %s", p.rule.Protocol)
	}
	return p.addCondition(a, 0)
}
