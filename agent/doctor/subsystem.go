package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"ngfw.sh/dataplane/subsystem"
)

// part is a part of the kernel that may be missing.
type part struct {
	name    string
	check   string
	lost    string // without it
	modules string // that bring it
	needed  bool   // the agent does not start without
}

// parts in the order of what is lost. Clsact and its classifier are needed where
// there is no TCX, too.
var parts = []part{
	{subsystem.Backstop, "nftables table", "the agent does not start: nothing would be closed by default, and rejected packets would not be answered", "nf_tables nft_ct nft_chain_nat nft_limit nft_reject_inet", true},
	{subsystem.Masquerade, "nftables masquerade", "zones that masquerade are refused: inner networks have no way out by IPv4", "nft_masq nft_chain_nat", false},
	{subsystem.PortNAT, "nftables NAT", "NAT rules are refused: port forwards, 1:1, source NAT, netmap", "nft_nat nft_chain_nat", false},
	{subsystem.ToldNAT, "conntrack labels", "NAT rules of sources that name a country or a MAC address are refused (CONFIG_NF_CONNTRACK_LABELS)", "nf_conntrack nft_ct", false},
	{subsystem.ClampMSS, "nftables MSS clamp", "zones that clamp TCP's segment size are refused: pages may hang behind PPPoE and tunnels", "nft_exthdr nft_rt", false},
	{subsystem.Conntrack, "conntrack netlink", "connections are not counted, and those with an older translation are not ended by a change of NAT rules", "nf_conntrack_netlink", false},
	{subsystem.Queue, "NFQUEUE", "nothing is inspected: the section ids is refused", "nfnetlink_queue", false},
	{subsystem.HandOver, "NFQUEUE hand-over", "nothing is inspected: packets have no way to the matcher", "nft_queue", false},
	{subsystem.Clsact, "sch_clsact", "on kernels before TCX no policy can be on an interface; elsewhere tc: clsact", "sch_ingress", false},
	{subsystem.BPFFilter, "cls_bpf", "nothing is shaped, and on kernels before TCX no policy can be on an interface", "cls_bpf", false},
	{subsystem.HTB, "sch_htb", "nothing is shaped: the section qos is refused", "sch_htb", false},
	{subsystem.IFB, "ifb", "downloads are not shaped, nor what limited devices send", "ifb", false},
	{subsystem.Mirred, "act_mirred", "downloads are not shaped on uplinks without Ethernet (PPPoE, tunnels), nor on any before Linux 6.3", "act_mirred cls_u32", false},
	{subsystem.FQCoDel, "sch_fq_codel", "classes have plain queues (bfifo) for fq_codel: one flow's packets hold up another's", "sch_fq_codel", false},
	{subsystem.Cake, "sch_cake", "classes have fq_codel for cake, or plain queues: no fairness among hosts", "sch_cake", false},
	{subsystem.VLAN, "VLAN devices", "tagged networks have no interface, and so no zone", "8021q", false},
	{subsystem.WireGuard, "WireGuard", "the kernel has no WireGuard tunnels (one in user space is an interface all the same)", "wireguard", false},
}

func (d *Doctor) subsystems() []Result {
	if d.deps.Kernel == nil {
		return nil // features has said so
	}
	found := d.deps.Kernel.Subsystems()
	before := d.deps.Kernel.Attachment() == "clsact"
	var results []Result
	for _, p := range parts {
		err, asked := found[p.name]
		if !asked {
			continue
		}
		p.needed = p.needed || before && (p.name == subsystem.Clsact || p.name == subsystem.BPFFilter)
		results = append(results, p.result(err))
	}
	return results
}

func (p part) result(err error) Result {
	var r Result
	switch {
	case err == nil:
		return ok(p.check, "present")
	case errors.Is(err, fs.ErrPermission):
		r = warn(p.check, "cannot be told without privileges", "run as root")
	case !errors.Is(err, subsystem.ErrMissing):
		r = warn(p.check, err.Error(), "look at dmesg; try: modprobe "+p.first())
	default:
		r = warn(p.check, "missing: "+err.Error(), fmt.Sprintf("modprobe -a %s; where there is no such module, use a kernel that has it (Debian's, Ubuntu's, Fedora's do)", p.modules))
		if p.needed {
			r.Outcome = Fail
		}
	}
	r.Lost = p.lost
	return r
}

func (p part) first() string {
	name, _, _ := strings.Cut(p.modules, " ")
	return name
}
