// Package netfilter owns our one nftables table, inet ngfw: the backstop that
// keeps closed what the packet programs have not judged, the answers to
// rejected packets, NAT as the packet programs have decided it, and MSS clamping. Tables of others are
// never touched.
//
// The table is replaced as a whole in one transaction, so a packet meets the
// old or the new. It stays when the agent ends.
package netfilter

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// TableName is the table's, in family inet.
const TableName = "ngfw"

// As in bpf/abi/abi.h.
const (
	markJudged = 0x80000000
	markReply  = 0x40000000
	markReject = 0x10000000
	zoneMask   = 0x07e00000
	zoneSelf   = 1 << 21
)

// metaIIFKind is NFT_META_IIFKIND of linux/netfilter/nf_tables.h: a link's kind, as ip
// link shows it.
const metaIIFKind expr.MetaKey = 26

// FreeMark are the bits of the packet mark that are not ours: rules of the matcher may set
// them, for others to go by.
const FreeMark = 0x0000ffff

// Ruleset is what the table depends on.
type Ruleset struct {
	Masquerade []string // interfaces: IPv4 that leaves here gets the interface's address
	MSSClamp   []string // interfaces: TCP SYNs that leave here announce at most the path's MSS
	Targets    []Targets
	Sources    []Source // before Masquerade
	Queues     Queues
	Bridges    []string // interfaces that may be bridges: what stays within one is none of ours
}

// Apply makes the table be r's.
func Apply(r Ruleset) error {
	return withQueues(r.Queues, func() error { return replace(r) })
}

func replace(r Ruleset) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: TableName}
	// Adding first makes the deletion valid; all of it is one transaction.
	c.AddTable(table)
	c.DelTable(table)
	c.AddTable(table)
	b := builder{conn: c, table: table}
	input := b.backstop("input", nftables.ChainHookInput)
	// Judged for another zone, and yet the router takes it: routes or translation
	// differ from what the programs saw.
	b.drops(input, "wrong_zone", unlessLoopback(expr.MetaKeyIIFNAME), markIsNot(zoneMask, zoneSelf))
	b.delivered(input)
	b.backstop("forward", nftables.ChainHookForward, r.Bridges...)
	b.queues(r.Queues)
	// A packet that conntrack calls invalid is not translated and would carry a
	// private address out. What is forwarded has met the backstop, so only what the
	// router itself sends is looked at: a further chain costs every packet.
	output := b.chain("output", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityMangle)
	if r.Queues.Count > 0 {
		// Resets in the name of either end of a flow that the matcher rejects: conntrack
		// knows them as part of it only where nothing is translated.
		b.rule(output, mark(markJudged|markInspect, markInspect), accept())
	}
	b.drops(output, "invalid", conntrackState(expr.CtStateBitINVALID), unlessLoopback(expr.MetaKeyOIFNAME))
	if len(r.MSSClamp) > 0 {
		post := b.chain("postrouting", nftables.ChainTypeFilter, nftables.ChainHookPostrouting, nftables.ChainPriorityMangle)
		for _, name := range sorted(r.MSSClamp) {
			b.rule(post, clampMSS(name)...)
		}
	}
	if err := b.destinations(r.Targets); err != nil {
		return err
	}
	// Always there: without it the kernel would no longer translate the flows that
	// it has translated until now.
	nat := b.chain("nat", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	if len(r.Targets) > 0 {
		b.rule(nat, mark(markTurn, markTurn), counter(), []expr.Any{&expr.Masq{}})
	}
	if err := b.sources(nat, r.Targets, r.Sources); err != nil {
		return err
	}
	for _, name := range sorted(r.Masquerade) {
		b.rule(nat, interfaceIs(expr.MetaKeyOIFNAME, name), family(unix.NFPROTO_IPV4), counter(), []expr.Any{&expr.Masq{}})
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("load the nftables table inet %s: %w", TableName, err)
	}
	return nil
}

// Remove takes the table away. What was closed is then open.
func Remove() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: TableName}
	c.AddTable(table)
	c.DelTable(table)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("remove the nftables table inet %s: %w", TableName, err)
	}
	return nil
}

type builder struct {
	conn  *nftables.Conn
	table *nftables.Table
}

func (b builder) chain(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
	policy := nftables.ChainPolicyAccept // what is dropped is dropped by name
	return b.conn.AddChain(&nftables.Chain{Name: name, Table: b.table, Type: kind, Hooknum: hook, Priority: priority, Policy: &policy})
}

func (b builder) rule(chain *nftables.Chain, parts ...[]expr.Any) {
	b.conn.AddRule(&nftables.Rule{Table: b.table, Chain: chain, Exprs: slices.Concat(parts...)})
}

// drops adds a rule that drops and counts, with its reason as comment.
func (b builder) drops(chain *nftables.Chain, reason string, parts ...[]expr.Any) {
	all := append(slices.Concat(parts...), &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop})
	b.conn.AddRule(&nftables.Rule{
		Table: b.table, Chain: chain, Exprs: all, UserData: userdata.AppendString(nil, userdata.TypeComment, reason),
	})
}

// backstop drops what the programs have not judged, and what they took for a
// known flow although conntrack does not know it. With br_netfilter the kernel shows
// it what a bridge passes from port to port, too: that was never to be judged.
func (b builder) backstop(name string, hook *nftables.ChainHook, bridges ...string) *nftables.Chain {
	c := b.chain(name, nftables.ChainTypeFilter, hook, nftables.ChainPriorityFilter)
	outside := unlessLoopback(expr.MetaKeyIIFNAME)
	if hook == nftables.ChainHookForward {
		// Most packets: judged, and conntrack agrees. They need no further look, the
		// first of a flow as little as those that claim its state.
		plain := uint32(markJudged | markReject | markReply)
		b.rule(c, mark(plain, markJudged), conntrackStateIsNot(expr.CtStateBitINVALID), accept())
		b.rule(c, mark(plain, markJudged|markReply), conntrackState(expr.CtStateBitESTABLISHED), accept())
		for _, name := range sorted(bridges) {
			b.rule(c, interfaceIs(expr.MetaKeyIIFNAME, name), interfaceIs(expr.MetaKeyOIFNAME, name), interfaceIs(metaIIFKind, "bridge"),
				mark(^uint32(FreeMark), 0), accept()) // no program has seen it: one that rejects says so
		}
	}
	b.reject(c, outside)
	b.drops(c, "unjudged", outside, mark(markJudged, 0))
	b.drops(c, "stale_state", outside, mark(markReply, markReply), conntrackState(expr.CtStateBitNEW))
	b.drops(c, "invalid", outside, conntrackState(expr.CtStateBitINVALID))
	return c
}

// delivered takes the judgement off what the router has for itself: a tunnel's packet
// keeps its carrier's mark, and where no program is at the tunnel's interface would
// pass for judged. IPsec's transport mode comes by no program a second time, so what
// it carries goes on as its carrier was judged.
func (b builder) delivered(input *nftables.Chain) {
	const natTraversal = 4500 // RFC 3948
	protocol := []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}}
	is := func(op expr.CmpOp, number byte) expr.Any { return &expr.Cmp{Op: op, Register: 1, Data: []byte{number}} }
	b.rule(input, protocol, []expr.Any{
		is(expr.CmpOpEq, unix.IPPROTO_UDP),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(natTraversal)},
	}, accept())
	b.rule(input, protocol, []expr.Any{
		is(expr.CmpOpNeq, unix.IPPROTO_ESP), is(expr.CmpOpNeq, unix.IPPROTO_AH), is(expr.CmpOpNeq, unix.IPPROTO_COMP),
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(FreeMark), Xor: make([]byte, 4)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	})
}

// reject answers what a rule rejects: TCP by a reset, the rest by ICMP
// administratively prohibited, at most 100 a second of each. nf_reject itself
// keeps silent towards resets, ICMP errors, broadcast and multicast.
func (b builder) reject(c *nftables.Chain, outside []expr.Any) {
	tcp := func(op expr.CmpOp) []expr.Any {
		return []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: op, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		}
	}
	limit := []expr.Any{&expr.Limit{Type: expr.LimitTypePkts, Rate: 100, Unit: expr.LimitTimeSecond, Burst: 50}}
	reset := []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}
	prohibited := []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}}
	refused := mark(markJudged|markReject, markReject) // both together mean another thing
	b.rule(c, outside, refused, tcp(expr.CmpOpEq), limit, counter(), reset)
	b.rule(c, outside, refused, tcp(expr.CmpOpNeq), limit, counter(), prohibited)
	b.drops(c, "reject_limit", outside, refused)
}

// clampMSS sets the option of passing SYNs to the route's MTU, as nft's
// "tcp option maxseg size set rt mtu" does: never upwards.
func clampMSS(out string) [][]expr.Any {
	const mss = 2 // RFC 9293 3.2
	return [][]expr.Any{
		interfaceIs(expr.MetaKeyOIFNAME, out),
		{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
			// flags & (SYN|RST) == SYN
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{0x06}, Xor: []byte{0}},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0x02}},
			&expr.Rt{Register: 1, Key: expr.RtTCPMSS},
			&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 2, Size: 2},
			&expr.Exthdr{SourceRegister: 1, Type: mss, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
		},
	}
}

func mark(mask, value uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(value)},
	}
}

func markIsNot(mask, value uint32) []expr.Any {
	match := mark(mask, value)
	match[len(match)-1].(*expr.Cmp).Op = expr.CmpOpNeq
	return match
}

func conntrackState(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func conntrackStateIsNot(bits uint32) []expr.Any {
	match := conntrackState(bits)
	match[len(match)-1].(*expr.Cmp).Op = expr.CmpOpEq
	return match
}

func unlessLoopback(key expr.MetaKey) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: interfaceName("lo")},
	}
}

func interfaceIs(key expr.MetaKey, name string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: interfaceName(name)},
	}
}

func interfaceName(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func family(f byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{f}},
	}
}

func counter() []expr.Any { return []expr.Any{&expr.Counter{}} }

func accept() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }

func sorted(names []string) []string {
	out := append([]string(nil), names...)
	sort.Strings(out)
	return out
}

// Reasons that the table drops for.
var Reasons = []string{"unjudged", "stale_state", "invalid", "wrong_zone", "reject_limit"}

// Drops are the packets that the table dropped since it was loaded, by reason.
// A table that is not loaded has dropped none.
func Drops() (map[string]uint64, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	out := make(map[string]uint64, len(Reasons))
	for _, reason := range Reasons {
		out[reason] = 0
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: TableName}
	for _, chain := range []string{"input", "forward", "output"} {
		rules, err := c.GetRules(table, &nftables.Chain{Name: chain, Table: table})
		if errors.Is(err, unix.ENOENT) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read chain %s: %w", chain, err)
		}
		for _, r := range rules {
			reason, ok := userdata.GetString(r.UserData, userdata.TypeComment)
			if !ok {
				continue
			}
			for _, e := range r.Exprs {
				if n, ok := e.(*expr.Counter); ok {
					out[reason] += n.Packets
				}
			}
		}
	}
	return out, nil
}
