package netfilter

import (
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"ngfw.sh/policy"
)

// A source rule may ask what no rule of nftables can see where packets leave (the
// frame that a flow began with), or not at a bearable cost (a country). The packet
// programs see it as the packet arrives and say so in its priority; a flow's first
// packet takes that along in conntrack's labels, of which bits 12 to 27 are ours.

// tells says whether there is anything of the kind.
func tells(all []Targets) bool {
	return slices.ContainsFunc(all, func(t Targets) bool { return len(t.Told) > 0 })
}

// keepTold writes what the priority says of the source to the labels.
func (b builder) keepTold(pre *nftables.Chain) {
	const first = unix.NFT_REG32_00 // the first 32 bits of register 1
	b.rule(pre, []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: 1},
		masked(1, natPriorityMask),
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(natPriority)},
		&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: 1},
		masked(1, natToldMask),
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
		&expr.Immediate{Register: 1, Data: make([]byte, 16)},
		&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: first},
		masked(first, natGenerationMask|natToldMask),
		&expr.Ct{Key: expr.CtKeyLABELS, Register: 1, SourceRegister: true},
	})
}

// told translates by the labels; who leaves otherwise than the programs foresaw goes on.
func (b builder) told(chain *nftables.Chain, all []Targets) error {
	verdicts := &nftables.Set{
		Table: b.table, Anonymous: true, Constant: true, IsMap: true,
		KeyType: nftables.TypeMark, DataType: nftables.TypeVerdict,
	}
	var elements []nftables.SetElement
	for _, g := range all {
		for i, t := range g.Told {
			name := fmt.Sprintf("from_%d_%d", g.Generation, i+1)
			b.leaves(b.conn.AddChain(&nftables.Chain{Name: name, Table: b.table}), t)
			key := uint32(g.Generation)<<natGenerationShift | uint32(i+1)<<natToldShift
			elements = append(elements, nftables.SetElement{
				Key: binaryutil.NativeEndian.PutUint32(key), VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: name},
			})
		}
	}
	if len(elements) == 0 {
		return nil
	}
	if err := b.conn.AddSet(verdicts, elements); err != nil {
		return fmt.Errorf("list NAT sources: %w", err)
	}
	b.rule(chain, []expr.Any{
		&expr.Ct{Key: expr.CtKeyLABELS, Register: 1},
		masked(1, natGenerationMask|natToldMask),
		&expr.Lookup{SourceRegister: 1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: verdicts.Name, SetID: verdicts.ID},
	})
	return nil
}

func (b builder) leaves(chain *nftables.Chain, t policy.NATTold) {
	var by []expr.Any
	if t.Interface != "" {
		by = interfaceIs(expr.MetaKeyOIFNAME, t.Interface)
	}
	b.rule(chain, by, counter(), translates(&t.Target))
}

func masked(register, mask uint32) expr.Any {
	return &expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: make([]byte, 4)}
}
