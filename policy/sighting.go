package policy

import (
	"fmt"
	"net/netip"
)

// Program is a packet program that has seen a packet.
type Program string

const (
	ProgramXDP     Program = "xdp"
	ProgramIngress Program = "tc_ingress"
	ProgramEgress  Program = "tc_egress"
)

// Path is how a program came to its verdict. bpf/abi/trace.h has the same numbers.
type Path uint8

const (
	PathNone      Path = 0 // it did not get as far
	PathNew       Path = 1 // the first packet of a flow
	PathKnown     Path = 2 // of a flow in the table
	PathAdopted   Path = 3 // of a flow that conntrack knows
	PathError     Path = 4 // an ICMP error
	PathFragment  Path = 5 // a later fragment
	PathForwarded Path = 6 // at egress: judged at ingress
	PathFast      Path = 7 // redirected
)

// Outcome is what a program did with a packet.
type Outcome uint8

const (
	Passed Outcome = iota // to what comes next
	Dropped
	Rejected   // the backstop answers
	Redirected // by the fast path
)

// Sighting is what one program did with one real packet.
type Sighting struct {
	Program  Program
	Path     Path
	Outcome  Outcome
	Miss     string // why it did not take the fast path; "": nobody asked
	Drop     string // the drop reason's name, if dropped
	Packet   Packet // as it was here; at egress as it leaves
	First    Packet // as its flow began; zero: there is no flow
	Leaves   Packet // as it leaves, where the fast path sent it on
	Reply    bool   // it goes against its flow's first packet
	Rejudged bool   // its flow has met another policy, or its schedule has turned
	Queued   bool   // marked for the matcher's queue
	Verdict  Verdict
}

// Sighted tells what a program did with a packet, with the steps and words of
// Stages where it judged as simulation does.
func (im *Image) Sighted(s Sighting) []Stage {
	w := sighted{image: im, Sighting: s}
	switch {
	case s.Path == PathFast:
		w.add("fast_path", "redirect", fmt.Sprintf("its flow is known: by %s, %s", s.Leaves.Out, w.translation(s.Packet, s.Leaves)))
		w.decided()
		return w.out
	case s.Program == ProgramXDP:
		w.fastPath()
		w.early()
		return w.out
	}
	w.fastPath()
	switch s.Path {
	case PathNone:
		w.before()
	case PathFragment:
		w.fragment()
	case PathForwarded:
		w.forwarded()
	case PathError:
		w.state("an ICMP error about a packet of "+flowText(s.First), "an ICMP error, and no flow is known that it belongs to")
	case PathKnown:
		w.state(w.known(), w.lost())
	case PathAdopted:
		w.judged("conntrack knows its flow, " + flowText(s.First) + ": taken over")
	case PathNew:
		w.judged("")
	}
	if s.Queued && s.Outcome == Passed {
		w.add("queue", "pass", "marked for the matcher's queue")
	}
	return w.out
}

type sighted struct {
	Sighting
	image *Image
	out   []Stage
}

func (w *sighted) add(stage, result, reason string) {
	w.out = append(w.out, Stage{stage, result, reason})
}

func (w *sighted) fastPath() {
	if w.Miss != "" {
		w.add("fast_path", "pass", "not taken: "+w.Miss)
	}
}

// early is what XDP looks at beside the fast path, or TC ingress where XDP is not.
func (w *sighted) early() {
	if w.Outcome == Dropped {
		w.add(earlyStage(w.Drop), string(Drop), dropText(w.Drop))
		return
	}
	w.add("early", "pass", "well-formed, on no drop list, within the flood guards")
}

func earlyStage(drop string) string {
	if drop == DropMalformed.String() {
		return "headers"
	}
	return "early"
}

// before is what ends before a flow is looked for.
func (w *sighted) before() {
	switch {
	case w.Outcome != Dropped:
		w.add("headers", "pass", "nothing to judge")
	case w.Drop == "unjudged":
		w.add("egress", string(Drop), dropText(w.Drop))
	default:
		w.add(earlyStage(w.Drop), string(Drop), dropText(w.Drop))
	}
}

func (w *sighted) fragment() {
	if w.Outcome == Dropped {
		w.add("state", string(Drop), dropText(w.Drop))
		return
	}
	w.add("state", "pass", "a later fragment: conntrack puts it together with its first, which is judged")
}

func (w *sighted) forwarded() {
	if w.Outcome == Dropped {
		w.add("egress", string(Drop), dropText(w.Drop))
		return
	}
	w.add("egress", "pass", "as judged: "+w.image.linkText(w.Packet.Out))
}

// state is a packet of a flow that need not be judged as a first one.
func (w *sighted) state(found, lost string) {
	w.add("headers", "pass", "well-formed")
	if w.Drop == "no_zone" {
		w.add("zone_in", string(Drop), w.Packet.In+" is in no zone")
		return
	}
	w.add("zone_in", "pass", w.image.linkText(w.Packet.In))
	switch {
	case w.Outcome == Passed:
		w.add("state", "pass", found)
		w.decided()
	case w.Drop == "policy": // the flow is cut by a policy that came after it
		w.add("state", "pass", found)
		w.decided()
	default:
		w.add("state", string(Drop), lost)
	}
}

func (w *sighted) known() string {
	text := "a packet of " + flowText(w.First)
	if w.Reply {
		text = "an answer in " + flowText(w.First)
	}
	if w.Rejudged {
		text += ", judged again: the policy has changed, or a schedule has begun or ended"
	}
	return text
}

func (w *sighted) lost() string {
	if w.Drop == "no_state" {
		return "it would end " + flowText(w.First) + ", but its numbers are not the connection's"
	}
	return dropText(w.Drop)
}

// judged is a packet that the policy was asked about, by its flow's first tuple.
func (w *sighted) judged(state string) {
	packet := w.First
	if !packet.Src.IsValid() {
		packet = w.Packet
	}
	stages := w.image.Stages(packet, w.Verdict)
	for i := range stages {
		if stages[i].Stage == "state" && stages[i].Result == "pass" && state != "" {
			stages[i].Reason = state
		}
	}
	if w.Verdict.Decider.Kind() == DeciderReason && w.Drop != "" && DropReason(w.Verdict.Decider.ID()).String() == "unknown" {
		// Accepted, and then refused for what only a real packet has.
		for i, s := range stages {
			if s.Stage == "zone_out" {
				stages = append(stages[:i+1], Stage{"flow", string(Drop), dropText(w.Drop)})
				break
			}
		}
	}
	w.out = append(w.out, stages...)
	if w.Outcome == Dropped && w.Verdict.Action == Accept { // what it lacked beside the policy's word
		w.add("flow", string(Drop), dropText(w.Drop))
	}
}

// decided names who let the flow's packets pass, or ends them.
func (w *sighted) decided() {
	d := w.Verdict.Decider
	stage, text := "rules", w.image.ruleText(d)
	switch d.Kind() {
	case DeciderPolicy:
		stage, text = "policy", "the policy of its zones"
	case DeciderDefault:
		stage, text = "default", "nothing accepts it"
	case DeciderSystem:
		stage, text = "system", "system rule "+SystemRule(d.ID()).String()
	case DeciderNAT:
		stage, text = "nat", w.image.natText(int64(d.ID()))+" accepts what it translates"
	case DeciderReason:
		stage, text = "state", dropText(d.Reason())
	case DeciderNone:
		return
	}
	w.add(stage, string(w.Verdict.Action), text)
}

// translation says how a packet leaves, in words.
func (w *sighted) translation(in, out Packet) string {
	if Endpoint(in.Src, in.SrcPort) == Endpoint(out.Src, out.SrcPort) && Endpoint(in.Dst, in.DstPort) == Endpoint(out.Dst, out.DstPort) {
		return "untranslated"
	}
	return "as " + Endpoint(out.Src, out.SrcPort) + " > " + Endpoint(out.Dst, out.DstPort)
}

// Translated is the stage of a packet that leaves otherwise than it came; false
// where it does not.
func (im *Image) Translated(in, out Packet, nat Translation) (Stage, bool) {
	w := sighted{image: im}
	text := w.translation(in, out)
	if text == "untranslated" {
		return Stage{}, false
	}
	switch {
	case nat.SourceRule != 0:
		text = im.natText(nat.SourceRule) + ": leaves " + text
	case nat.Rule != 0:
		text = im.natText(nat.Rule) + ": leaves " + text
	default:
		text = "leaves " + text
	}
	return Stage{"nat", "translated", text}, true
}

// Endpoint is an address with its port, where it has one.
func Endpoint(a netip.Addr, port uint16) string {
	if port == 0 {
		return a.String()
	}
	return netip.AddrPortFrom(a, port).String()
}

func flowText(p Packet) string {
	if !p.Src.IsValid() {
		return "a flow that is gone"
	}
	return fmt.Sprintf("the flow %s %s > %s", ProtocolName(p.Protocol), Endpoint(p.Src, p.SrcPort), Endpoint(p.Dst, p.DstPort))
}

// dropText puts a drop reason of the packet programs into words.
func dropText(reason string) string {
	if text, ok := dropTexts[reason]; ok {
		return text
	}
	return reason
}

var dropTexts = map[string]string{
	"malformed":       "not a whole and sane packet",
	"no_zone":         "an interface in no zone",
	"no_state":        "it belongs to a flow, and none is known",
	"wrong_zone":      "its flow is between other zones",
	"egress_zone":     "leaves by another zone than was judged",
	"unjudged":        "forwarded without having been judged",
	"flow_table_full": "the flow table is full",
	"fragment":        "a later fragment of a refused or unknown packet",
	"no_image":        "no policy is loaded, or it was swapped away under the packet",
	"forged_source":   "the way back to its source is by another zone",
	"nat_mismatch":    "translated otherwise than judged",
	"nat_changed":     "the NAT rule of its flow is gone or changed",
	"drop_list":       "on a drop list",
	"source_flood":    "too many new flows of its source",
	"syn_flood":       "too many connections begin at its interface",
	"threat":          "the matcher has blocked the flow",
}
