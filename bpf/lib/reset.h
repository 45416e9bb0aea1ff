/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A TCP connection that the policy cuts with reject ends for both: the packet
 * that met the changed policy is made a reset and goes on to its receiver, and
 * one for its sender goes back. Numbers are the packet's own (RFC 9293 3.10.7.4:
 * a reset counts where the next byte is expected). Later packets of either side,
 * should a reset be lost, are answered by the backstop as any that is refused.
 */
#ifndef NGFW_RESET_H
#define NGFW_RESET_H

#include "flow.h"

#define CHECKSUM_PARTIAL 3		/* linux/skbuff.h */
#define TCP_RST_ACK 0x14

struct sk_buff___sum {
	__u8 ip_summed : 2;
} __kernel_type;

struct tcp_reset {
	__be16 source, dest;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 window, check, urgent;
};

/* Pseudo header and segment: partial checksums hold the former alone. */
static __always_inline __u16 reset_sum(const struct work *w, struct tcp_reset *t, int partial)
{
	__u32 sum = bpf_htons(sizeof(*t)) + bpf_htons(IPPROTO_TCP);
	const __u32 *a = (const __u32 *)w->packet.tuple.saddr;

#pragma unroll
	for (int i = 0; i < 8; i++) {
		/* IPv4 addresses are the last word of four. */
		if (!(w->packet.flags & PKT_V6) && (i & 3) != 3)
			continue;
		sum += (a[i] & 0xffff) + (a[i] >> 16);
	}
	if (!partial) {
		const __u16 *h = (const __u16 *)t;

#pragma unroll
		for (int i = 0; i < (int)sizeof(*t) / 2; i++)
			sum += h[i];
	}
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return partial ? sum : ~sum;
}

static __always_inline int swap_bytes(struct __sk_buff *skb, __u32 a, __u32 b, __u32 size)
{
	__u8 x[16], y[16];

	if (bpf_skb_load_bytes(skb, a, x, size) || bpf_skb_load_bytes(skb, b, y, size))
		return -1;
	return bpf_skb_store_bytes(skb, a, y, size, BPF_F_RECOMPUTE_CSUM) ||
	       bpf_skb_store_bytes(skb, b, x, size, BPF_F_RECOMPUTE_CSUM);
}

/* Sender and receiver change places; IP's own sums stay right by that. */
static __always_inline int turn_round(struct __sk_buff *skb, const struct work *w)
{
	__u32 l3 = w->packet.l3;

	if (l3 && swap_bytes(skb, 0, ETH_ALEN, ETH_ALEN))
		return -1;
	if (w->packet.flags & PKT_V6)
		return swap_bytes(skb, l3 + 8, l3 + 24, 16);
	return swap_bytes(skb, l3 + 12, l3 + 16, 4);
}

/* 1: the packet is a reset now, for its receiver; its sender has got one. */
SUBPROGRAM int reset_both(struct __sk_buff *skb, struct work *w)
{
	struct sk_buff___sum *k = kernel_skb(sk_buff___sum, skb);
	struct tcp_reset t = {};
	struct tcphdr old;
	int partial = BPF_CORE_READ_BITFIELD_PROBED(k, ip_summed) == CHECKSUM_PARTIAL;
	__u32 l3, l4, back;
	__be16 length, was;

	if (!w)
		return 0;
	l3 = w->packet.l3;
	l4 = w->packet.l4;
	if (bpf_skb_load_bytes(skb, l4, &old, sizeof(old)) || !old.ack || old.syn || old.rst)
		return 0;
	if (bpf_skb_change_tail(skb, l4 + sizeof(t), 0))
		return 0;
	/* From here on the packet is a reset or nothing. */
	if (w->packet.flags & PKT_V6) {
		length = bpf_htons(l4 - l3 - sizeof(struct ipv6hdr) + sizeof(t));
		if (bpf_skb_store_bytes(skb, l3 + 4, &length, sizeof(length), BPF_F_RECOMPUTE_CSUM))
			return -1;
	} else {
		length = bpf_htons(l4 - l3 + sizeof(t));
		if (bpf_skb_load_bytes(skb, l3 + 2, &was, sizeof(was)) ||
		    bpf_l3_csum_replace(skb, l3 + 10, was, length, sizeof(length)) ||
		    bpf_skb_store_bytes(skb, l3 + 2, &length, sizeof(length), 0))
			return -1;
	}
	t.offset = sizeof(t) / 4 << 4;
	t.flags = TCP_RST_ACK;

	back = bpf_ntohl(old.seq) + w->packet.bytes - w->packet.headers + old.fin;
	t.source = old.dest;
	t.dest = old.source;
	t.seq = old.ack_seq;
	t.ack = bpf_htonl(back);
	t.check = reset_sum(w, &t, partial);
	if (turn_round(skb, w) || bpf_skb_store_bytes(skb, l4, &t, sizeof(t), BPF_F_RECOMPUTE_CSUM))
		return -1;
	bpf_clone_redirect(skb, w->ifindex, 0);	/* a full queue loses it; the next packet is answered */

	t.source = old.source;
	t.dest = old.dest;
	t.seq = old.seq;
	t.ack = old.ack_seq;
	t.check = 0;
	t.check = reset_sum(w, &t, partial);
	if (turn_round(skb, w) || bpf_skb_store_bytes(skb, l4, &t, sizeof(t), BPF_F_RECOMPUTE_CSUM))
		return -1;
	return 1;
}

#endif
