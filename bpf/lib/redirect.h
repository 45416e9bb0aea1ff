/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The fast path's last step for a packet that the kernel has made an skb of. */
#ifndef NGFW_REDIRECT_H
#define NGFW_REDIRECT_H

#include "judge.h"

#define TC_REDIRECT 7			/* TCX_REDIRECT, TC_ACT_REDIRECT */

/*
 * The way has been followed and counted: what fails here is a lost packet. It
 * cannot, but for memory. The helpers see to checksums of every kind: whole
 * ones, partial ones, and sums that a driver has taken.
 */
static __always_inline int redirect_skb(struct __sk_buff *skb, struct glance *g, struct route_taken *r)
{
	const struct fast_way *way = &r->way;
	const struct fast_nat *nat = &r->nat;
	int rewrite = way->form & FAST_REWRITE;
	struct {
		__u8 unused[2];		/* aligns the IP header */
		__u8 macs[12];
		__be16 proto;
		struct iphdr ip;
	} head;
	__u32 check = g->l4 + (g->tcp ? __builtin_offsetof(struct tcphdr, check) : __builtin_offsetof(struct udphdr, check));
	__u64 pseudo = BPF_F_PSEUDO_HDR | (g->tcp ? 0 : BPF_F_MARK_MANGLED_0);
	__be16 ports[2] = { nat->sport, nat->dport };

	if (g->l4 != ETH_HLEN + sizeof(struct iphdr)) {
		struct {
			__u8 next, hops;
		} hop;

		if (bpf_skb_store_bytes(skb, 0, way->macs, sizeof(way->macs), 0) ||
		    bpf_skb_load_bytes(skb, ETH_HLEN + 6, &hop, sizeof(hop)))
			return TC_DROP;
		hop.hops--;
		if (bpf_skb_store_bytes(skb, ETH_HLEN + 6, &hop, sizeof(hop), BPF_F_RECOMPUTE_CSUM))
			return TC_DROP;
		/* No checksum of the header's makes up for its addresses, so they count in a
		 * sum taken over the packet, out of which the new checksum takes them again. */
		if (rewrite && bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, saddr), r->addresses,
						   sizeof(r->addresses), BPF_F_RECOMPUTE_CSUM))
			return TC_DROP;
		goto transport;
	}
	if (bpf_skb_load_bytes(skb, 0, head.macs, sizeof(head) - sizeof(head.unused)))
		return TC_DROP;
	__builtin_memcpy(head.macs, way->macs, sizeof(head.macs));
	head.ip.ttl--;
	head.ip.check = ~fold((__u16)~head.ip.check + (rewrite ? nat->address_sum : 0) + HOP_SUM);
	if (rewrite) {
		head.ip.saddr = nat->saddr;
		head.ip.daddr = nat->daddr;
	}
	/* The header's sum stays what it was, so one taken over the packet holds. */
	if (bpf_skb_store_bytes(skb, 0, head.macs, sizeof(head) - sizeof(head.unused), 0))
		return TC_DROP;
transport:
	if (rewrite) {
		if (bpf_l4_csum_replace(skb, check, 0, nat->address_sum, pseudo) ||
		    (nat->port_sum && bpf_l4_csum_replace(skb, check, 0, nat->port_sum, g->tcp ? 0 : BPF_F_MARK_MANGLED_0)) ||
		    bpf_skb_store_bytes(skb, g->l4, ports, sizeof(ports), 0))
			return TC_DROP;
	}
	set_mark(skb, MARK_JUDGED | mark_zone(way->zone));
	return bpf_redirect(way->ifindex_out, 0);
}

#endif
