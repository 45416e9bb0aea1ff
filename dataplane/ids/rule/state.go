package rule

import (
	"slices"
	"strings"
)

// StateOp is what is done with a bit or a number that is kept between packets.
type StateOp uint8

const (
	StateIsSet StateOp = iota
	StateIsNotSet
	StateSet
	StateUnset
	StateToggle
)

var stateOps = []string{"isset", "isnotset", "set", "unset", "toggle"}

func (op StateOp) checks() bool { return op <= StateIsNotSet }

// FlowBit checks or changes bits of the flow. Of several names to check, one
// must be set, or not be.
type FlowBit struct {
	Op    StateOp
	Names []string
}

func (*FlowBit) Keyword() string { return "flowbits" }
func (*FlowBit) condition()      {}
func (*FlowBit) effect()         {}

func (f *FlowBit) print(b []byte) []byte {
	b = append(append(append(b, "flowbits:"...), stateOps[f.Op]...), ',')
	return append(b, strings.Join(f.Names, "|")...)
}

func parseFlowBits(p *parser, o *option) error {
	op, names, more := part(o.value)
	if op == "noalert" && !more {
		return parseNoAlert(p, o)
	}
	i, ok := indexOf(stateOps, op)
	if !ok {
		return faultf(o.valueAt, "flowbits are isset, isnotset, set, unset, toggle or noalert, not %q", op)
	}
	f := &FlowBit{Op: StateOp(i)}
	for more = true; more; {
		var name string
		name, names, more = strings.Cut(names, "|")
		name = trim(name)
		if !isName(name) {
			return faultf(o.valueAt, "%q cannot name a flow bit", name)
		}
		f.Names = append(f.Names, name)
	}
	if len(f.Names) > 1 && !f.Op.checks() {
		return faultf(o.valueAt, "flowbits:%s has one name; | is for isset and isnotset", op)
	}
	return p.addState(f, f.Op.checks())
}

// addState appends what is a condition or an effect by its operation.
func (p *parser) addState(s interface {
	Condition
	Effect
}, checks bool) error {
	if checks {
		return p.addCondition(s, 0)
	}
	p.rule.Effects = append(p.rule.Effects, s)
	return nil
}

// FlowInt checks or changes a number of the flow.
type FlowInt struct {
	Name  string
	Op    FlowIntOp
	Value uint32
	Other string // a number of the flow that counts instead of Value; "": none
}

// FlowIntOp is an operation of flowint. Those before FlowIntLess are effects.
type FlowIntOp uint8

const (
	FlowIntAdd FlowIntOp = iota
	FlowIntSubtract
	FlowIntSet
	FlowIntLess
	FlowIntLessEqual
	FlowIntGreater
	FlowIntGreaterEqual
	FlowIntEqual
	FlowIntNotEqual
	FlowIntIsSet
	FlowIntIsNotSet
)

var flowIntOps = []string{"+", "-", "=", "<", "<=", ">", ">=", "==", "!=", "isset", "isnotset"}

func (*FlowInt) Keyword() string { return "flowint" }
func (*FlowInt) condition()      {}
func (*FlowInt) effect()         {}

func (f *FlowInt) print(b []byte) []byte {
	b = append(append(append(append(b, "flowint:"...), f.Name...), ','), flowIntOps[f.Op]...)
	switch {
	case f.Op >= FlowIntIsSet:
		return b
	case f.Other != "":
		return append(append(b, ','), f.Other...)
	}
	return appendUint(append(b, ','), uint64(f.Value))
}

func parseFlowInt(p *parser, o *option) error {
	f, rest, more, err := o.fields(2, "name, operation, value")
	if err != nil {
		return err
	}
	if f[1] == "notset" {
		f[1] = "isnotset"
	}
	op, ok := indexOf(flowIntOps, f[1])
	if !ok {
		return faultf(o.valueAt, "%q is no operation of flowint: one of + - = < <= > >= == != isset isnotset", f[1])
	}
	n := &FlowInt{Name: f[0], Op: FlowIntOp(op)}
	if !isName(n.Name) {
		return faultf(o.valueAt, "%q cannot name a number", n.Name)
	}
	if n.Op >= FlowIntIsSet == more {
		return faultf(o.valueAt, "flowint with %s takes %s value", f[1], map[bool]string{true: "no", false: "a"}[n.Op >= FlowIntIsSet])
	}
	if more {
		rest = trim(rest)
		if v, ok := number(rest); ok && v <= 1<<32-1 {
			n.Value = uint32(v)
		} else if !isName(rest) || rest[0] >= '0' && rest[0] <= '9' || rest[0] == '-' {
			return faultf(o.valueAt, "%q is neither a number of 32 bits nor a name", rest)
		} else {
			n.Other = rest
		}
	}
	return p.addState(n, n.Op >= FlowIntLess)
}

// Track is what something is counted or kept for.
type Track uint8

const (
	BySource Track = iota
	ByDestination
	ByBoth // the pair of addresses
	ByRule
	ByFlow
	ByEither // in suppressions: source or destination
)

var trackNames = []string{"by_src", "by_dst", "by_both", "by_rule", "by_flow", "by_either"}

// XBit checks or changes a bit of an address, a pair of them, or a flow; with
// the keyword hostbits the same for an address.
type XBit struct {
	Name   string // keyword: xbits or hostbits
	Op     StateOp
	Bit    string
	Track  Track  // BySource, ByDestination, ByBoth; ByFlow is kept for a flow's time
	Expire uint32 // seconds
}

const defaultExpire = 30

func (x *XBit) Keyword() string { return x.Name }
func (*XBit) condition()        {}
func (*XBit) effect()           {}

var xbitTracks = map[string]Track{"ip_src": BySource, "ip_dst": ByDestination, "ip_pair": ByBoth, "tx": ByFlow}
var xbitTrackNames = [...]string{"ip_src", "ip_dst", "ip_pair", "", "tx"}

func (x *XBit) print(b []byte) []byte {
	b = append(append(append(append(append(b, x.Name...), ':'), stateOps[x.Op]...), ','), x.Bit...)
	if x.Name == "hostbits" {
		b = append(append(b, ','), [...]string{"src", "dst", "both"}[x.Track]...)
		return appendUint(append(b, ','), uint64(x.Expire))
	}
	b = append(append(b, ",track "...), xbitTrackNames[x.Track]...)
	return appendUint(append(b, ",expire "...), uint64(x.Expire))
}

func parseXBits(p *parser, o *option) error {
	f, rest, more, err := o.fields(2, "operation, name, track ip_src, ip_dst or ip_pair, expire seconds")
	if err != nil {
		return err
	}
	x := &XBit{Name: "xbits", Bit: f[1], Expire: defaultExpire}
	tracked := false
	for more {
		var item string
		item, rest, more = part(rest)
		key, value := word(item)
		var ok bool
		switch key {
		case "track":
			if x.Track, ok = xbitTracks[value]; !ok {
				return faultf(o.valueAt, "xbits track ip_src, ip_dst, ip_pair or tx, not %q", value)
			}
			tracked = true
		case "expire":
			if x.Expire, ok = seconds(value); !ok || x.Expire == 0 {
				return faultf(o.valueAt, "%q is no number of seconds", value)
			}
		default:
			return faultf(o.valueAt, "xbits has no option %q: it has track and expire", item)
		}
	}
	if !tracked {
		return faultf(o.valueAt, "xbits needs to be told what to track")
	}
	return p.addXBit(x, f[0], o)
}

func (p *parser) addXBit(x *XBit, op string, o *option) error {
	i := slices.Index(stateOps, op)
	if i < 0 {
		return faultf(o.valueAt, "%s are isset, isnotset, set, unset or toggle, not %q", x.Name, op)
	}
	x.Op = StateOp(i)
	if !isName(x.Bit) {
		return faultf(o.valueAt, "%q cannot name a bit", x.Bit)
	}
	return p.addState(x, x.Op.checks())
}

func parseHostBits(p *parser, o *option) error {
	f, rest, more, err := o.fields(2, "operation, name, src, dst or both, seconds")
	if err != nil {
		return err
	}
	x := &XBit{Name: "hostbits", Bit: f[1], Expire: 300}
	if more {
		var side string
		side, rest, more = part(rest)
		i, ok := indexOf([]string{"src", "dst", "both"}, side)
		if !ok {
			return faultf(o.valueAt, "hostbits are of src, dst or both, not of %q", side)
		}
		x.Track = Track(i)
	}
	if more {
		var ok bool
		if x.Expire, ok = seconds(trim(rest)); !ok || x.Expire == 0 {
			return faultf(o.valueAt, "%q is no number of seconds", trim(rest))
		}
	}
	return p.addXBit(x, f[0], o)
}

func seconds(s string) (uint32, bool) {
	v, ok := number(s)
	return uint32(v), ok && v <= 1<<31
}
