package dataplane

import (
	"net/netip"

	"ngfw.sh/dataplane/flow"
	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// As in bpf/abi/trace.h, abi.h and inspect.h.
const (
	traceXDP     = 1
	traceIngress = 2
	traceEgress  = 3

	pathRejudged = 0x100

	markJudgedBit  = 0x80000000
	markRejectBit  = 0x10000000
	markInspectBit = 0x08000000

	flowDNAT = 1 << 10

	xdpDrop, tcDrop = 1, 2
)

// Why a packet did not take the fast path: enum fast_miss. Where a program's is
// off there is nothing to say.
var fastMisses = []string{
	2: "no plain packet (SYN, FIN, RST, a fragment, options, its last hop, or neither TCP nor UDP)",
	3: "no way is learnt for it", 4: "its way is not learnt yet, or of the other form", 5: "its way is not learnt yet, of another policy, or has ended",
	6: "its way is from another port or MAC address", 7: "its way has not been renewed", 8: "it is longer than its way's MTU",
	9: "the packet of the second, which renews the way and conntrack", 10: "its way was being written",
	11: "its sequence or acknowledgment number is far from those before",
}

var tracePrograms = map[uint8]policy.Program{1: policy.ProgramXDP, 2: policy.ProgramIngress, 3: policy.ProgramEgress}

// sighting puts a record into the policy's terms.
func sighting(r *bpfobj.TcTraceRecord, name func(uint32) string) policy.Sighting {
	in, out := name(r.IfindexIn), ""
	if r.IfindexOut != 0 || (r.Hook != traceXDP && r.Orig != (bpfobj.TcTuple{})) { // else it is not known
		out = name(r.IfindexOut)
	}
	s := policy.Sighting{
		Program: tracePrograms[r.Hook], Path: policy.Path(r.Path & 0xff), Rejudged: r.Path&pathRejudged != 0,
		Packet: tracePacket(r.Tuple, in, out), Reply: r.Dir&1 != 0, Queued: r.Mark&markInspectBit != 0,
	}
	if int(r.Miss) < len(fastMisses) {
		s.Miss = fastMisses[r.Miss]
	}
	s.Packet.VLAN = r.Vlan
	if r.Orig != (bpfobj.TcTuple{}) {
		// Interfaces of the flow's first packet are those of an answer turned round.
		first, last := in, out
		if s.Reply {
			first, last = out, in
		}
		if s.Path == policy.PathNew && s.Program == policy.ProgramIngress {
			last = name(r.IfindexOut)
		}
		s.First = tracePacket(r.Orig, first, last)
		s.First.Time = flow.WallClock(r.Time)
		s.First.SrcMAC = r.Smac
	}
	if s.Path == policy.PathFast {
		s.Leaves = tracePacket(r.After, in, out)
	}
	s.Verdict = traceVerdict(r)
	switch {
	case s.Path == policy.PathFast:
		s.Outcome = policy.Redirected
	case (r.Hook == traceXDP && r.Result == xdpDrop) || (r.Hook != traceXDP && r.Result == tcDrop):
		s.Outcome = policy.Dropped
		s.Drop = DropReason(r.Reason).String()
	case r.Hook == traceIngress && r.Mark&markRejectBit != 0 && r.Mark&markJudgedBit == 0:
		s.Outcome = policy.Rejected
		s.Drop = DropReason(r.Reason).String()
	}
	return s
}

// traceVerdict is the word of whoever decided. A flow in the table was accepted.
func traceVerdict(r *bpfobj.TcTraceRecord) policy.Verdict {
	v := policy.Verdict{Decider: policy.Decider(r.Decider)}
	for action, number := range actions {
		if number == r.Action {
			v.Action = action
		}
	}
	if r.Action == 0 && r.Decider != 0 {
		v.Action = policy.Accept
	}
	if v.Decider.Kind() == policy.DeciderReason && v.Action == policy.Accept {
		v.Action = policy.Drop
	}
	if r.FlowFlags&flowDNAT != 0 {
		v.NAT.Rule = int64(r.Nat[0])
		v.NAT.Destination = netip.AddrFrom16(r.To).Unmap()
		v.NAT.Port = networkOrder(r.ToPort)
	}
	return v
}

// tracePacket is a tuple as policies speak of it.
func tracePacket(t bpfobj.TcTuple, in, out string) policy.Packet {
	p := policy.Packet{In: in, Out: out, Src: netip.AddrFrom16(t.Saddr).Unmap(), Dst: netip.AddrFrom16(t.Daddr).Unmap(), Protocol: t.Proto}
	switch {
	case policy.HasPorts(t.Proto):
		p.SrcPort, p.DstPort = networkOrder(t.Sport), networkOrder(t.Dport)
	case t.Proto == policy.ProtocolICMP || t.Proto == policy.ProtocolICMPv6:
		kind := networkOrder(t.Dport)
		p.ICMPType, p.ICMPCode = uint8(kind>>8), uint8(kind)
	}
	return p
}
