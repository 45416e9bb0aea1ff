package netfilter

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"ngfw.sh/policy"
)

// As in bpf/abi/abi.h and nat.h.
const (
	markTurn           = markJudged | markReject
	natPriority        = 0x40000000
	natPriorityMask    = 0xf0000000
	natGenerationMask  = 0x0ff00000
	natGenerationShift = 20
	natToldMask        = 0x000ff000
	natToldShift       = 12
	natNumberMask      = 0x00000fff
)

// Targets are what the packet programs send packets to, by number, and what they
// tell of sources. While a policy changes, packets judged by the one before carry
// its generation.
type Targets struct {
	Generation uint8
	Targets    []policy.NATTarget
	Told       []policy.NATTold
}

// Source is what becomes of the sources of packets that leave; the first that
// holds a packet decides.
type Source struct {
	Interface string // "": any
	Box       policy.NATBox
}

// Sources are the boxes of a table with their interfaces, without those that the
// packet programs tell of.
func Sources(t *policy.NATTable) []Source {
	names := map[uint8]string{}
	for name, port := range t.Ports {
		names[port] = name
	}
	var out []Source
	for _, b := range t.Source {
		if b.Told != 0 {
			continue
		}
		out = append(out, Source{Interface: names[b.Port], Box: b})
	}
	return out
}

// destinations sends packets to where the programs have decided, which the
// packet's priority says, and keeps what it says of the source until the packet
// leaves: forwarding writes the priority anew.
func (b builder) destinations(all []Targets) error {
	verdicts := &nftables.Set{
		Table: b.table, Anonymous: true, Constant: true, IsMap: true,
		KeyType: nftables.TypeMark, DataType: nftables.TypeVerdict,
	}
	var elements []nftables.SetElement
	for _, g := range all {
		for _, t := range g.Targets {
			name := fmt.Sprintf("to_%d_%d", g.Generation, t.Number)
			chain := b.conn.AddChain(&nftables.Chain{Name: name, Table: b.table})
			translate, err := b.toTarget(t)
			if err != nil {
				return err
			}
			b.rule(chain, counter(), translate)
			key := uint32(natPriority) | uint32(g.Generation)<<natGenerationShift | uint32(t.Number)
			elements = append(elements, nftables.SetElement{
				Key: binaryutil.NativeEndian.PutUint32(key), VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: name},
			})
		}
	}
	tells := tells(all)
	if len(elements) == 0 && !tells {
		return nil
	}
	pre := b.chain("destination", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	if tells {
		b.keepTold(pre)
	}
	if len(elements) == 0 {
		return nil
	}
	if err := b.conn.AddSet(verdicts, elements); err != nil {
		return fmt.Errorf("list NAT targets: %w", err)
	}
	b.rule(pre, []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: 1},
		masked(1, natPriorityMask|natGenerationMask|natNumberMask),
		&expr.Lookup{SourceRegister: 1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: verdicts.Name, SetID: verdicts.ID},
	})
	return nil
}

// toTarget translates the destination.
func (b builder) toTarget(t policy.NATTarget) ([]expr.Any, error) {
	to := t.To.Unmap()
	nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: familyOf(to), RegAddrMin: 1}
	out := []expr.Any{&expr.Immediate{Register: 1, Data: to.AsSlice()}}
	if t.To != t.Last {
		nat.RegAddrMax, nat.Prefix = 2, true
		out = append(out, &expr.Immediate{Register: 2, Data: t.Last.Unmap().AsSlice()})
	}
	switch t.Ports {
	case policy.NATOne:
		nat.RegProtoMin = 3
		out = append(out, &expr.Immediate{Register: 3, Data: binary.BigEndian.AppendUint16(nil, t.ToPort)})
	case policy.NATShift:
		nat.RegProtoMin = 3
		ports := &nftables.Set{
			Table: b.table, Anonymous: true, Constant: true, IsMap: true,
			KeyType: nftables.TypeInetService, DataType: nftables.TypeInetService,
		}
		var elements []nftables.SetElement
		for n := range t.LastPort - t.ToPort + 1 {
			elements = append(elements, nftables.SetElement{
				Key: binary.BigEndian.AppendUint16(nil, t.FromPort+n), Val: binary.BigEndian.AppendUint16(nil, t.ToPort+n),
			})
		}
		if err := b.conn.AddSet(ports, elements); err != nil {
			return nil, fmt.Errorf("list ports: %w", err)
		}
		out = append(out,
			&expr.Payload{DestRegister: 3, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Lookup{SourceRegister: 3, DestRegister: 3, IsDestRegSet: true, SetName: ports.Name, SetID: ports.ID})
	}
	return append(out, nat), nil
}

// sources translates the sources of what was judged at ingress. What the router
// itself sends has the address that it gave it, unless a zone masquerades. What is
// told comes first: the programs have seen that nothing before it is for the packet.
func (b builder) sources(nat *nftables.Chain, told []Targets, all []Source) error {
	if len(all) == 0 && !tells(told) {
		return nil
	}
	chain := b.conn.AddChain(&nftables.Chain{Name: "source", Table: b.table})
	if err := b.told(chain, told); err != nil {
		return err
	}
	for _, s := range all {
		b.rule(chain, s.matches(), counter(), translates(&s.Box.Target))
	}
	b.rule(nat, mark(markJudged, markJudged), []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain.Name}})
	return nil
}

func (s Source) matches() []expr.Any {
	box := &s.Box
	source := [2]netip.Addr{box.SourceLo.Unmap(), box.SourceHi.Unmap()}
	destination := [2]netip.Addr{box.DestinationLo.Unmap(), box.DestinationHi.Unmap()}
	nfproto, at, length := byte(unix.NFPROTO_IPV6), uint32(8), uint32(16)
	if box.SourceLo.Is4In6() {
		nfproto, at, length = unix.NFPROTO_IPV4, 12, 4
	}
	var out []expr.Any
	if s.Interface != "" {
		out = append(out, interfaceIs(expr.MetaKeyOIFNAME, s.Interface)...)
	}
	out = append(out, family(nfproto)...)
	if !box.AnyProtocol {
		out = append(out, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{box.Protocol}})
	}
	out = append(out, inRange(expr.PayloadBaseNetworkHeader, at, length, source[0].AsSlice(), source[1].AsSlice())...)
	out = append(out, inRange(expr.PayloadBaseNetworkHeader, at+length, length, destination[0].AsSlice(), destination[1].AsSlice())...)
	port := func(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
	if policy.HasPorts(box.Protocol) && !box.AnyProtocol {
		out = append(out, inRange(expr.PayloadBaseTransportHeader, 0, 2, port(box.SourcePortLo), port(box.SourcePortHi))...)
		out = append(out, inRange(expr.PayloadBaseTransportHeader, 2, 2, port(box.PortLo), port(box.PortHi))...)
	}
	return out
}

// inRange compares a header's field with first … last, unless these are all.
func inRange(base expr.PayloadBase, offset, length uint32, first, last []byte) []expr.Any {
	load := &expr.Payload{DestRegister: 1, Base: base, Offset: offset, Len: length}
	lowest := !slices.ContainsFunc(first, func(b byte) bool { return b != 0 })
	highest := !slices.ContainsFunc(last, func(b byte) bool { return b != 0xff })
	switch {
	case lowest && highest:
		return nil
	case slices.Equal(first, last):
		return []expr.Any{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: first}}
	}
	return []expr.Any{
		load,
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: first},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: last},
	}
}

func translates(t *policy.NATTarget) []expr.Any {
	if t.Masquerade {
		return []expr.Any{&expr.Masq{}}
	}
	var out []expr.Any
	var first, last uint32
	if t.Ports == policy.NATPool {
		first, last = 3, 4
		out = append(out,
			&expr.Immediate{Register: 3, Data: binary.BigEndian.AppendUint16(nil, t.ToPort)},
			&expr.Immediate{Register: 4, Data: binary.BigEndian.AppendUint16(nil, t.LastPort)})
	}
	to := t.To.Unmap()
	nat := &expr.NAT{Type: expr.NATTypeSourceNAT, Family: familyOf(to), RegAddrMin: 1, RegProtoMin: first, RegProtoMax: last}
	out = append(out, &expr.Immediate{Register: 1, Data: to.AsSlice()})
	if t.To != t.Last {
		nat.RegAddrMax = 2
		nat.Prefix = t.Host.IsValid() && t.Host != netip.IPv6Unspecified()
		nat.Persistent = !nat.Prefix // a client keeps its address
		out = append(out, &expr.Immediate{Register: 2, Data: t.Last.Unmap().AsSlice()})
	}
	return append(out, nat)
}

func familyOf(a netip.Addr) uint32 {
	if a.Is4() {
		return unix.NFPROTO_IPV4
	}
	return unix.NFPROTO_IPV6
}
