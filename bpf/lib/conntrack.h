/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Asking the kernel's conntrack, the authority on state. Lookup by tuple works
 * for TCP and UDP (nf_conntrack_bpf.c); what a packet at egress belongs to is
 * read from the packet itself and works for every protocol.
 */
#ifndef NGFW_CONNTRACK_H
#define NGFW_CONNTRACK_H

#include "maps.h"
#include "parse.h"

static __always_inline int is_icmp(__u8 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static __always_inline __u8 icmp_answer(__u8 proto, __u8 type)
{
	if (proto == IPPROTO_ICMPV6)
		return type == 128 ? 129 : type == 129 ? 128 : 0;
	switch (type) {			/* RFC 792, 950 */
	case 8:
		return 0;
	case 0:
		return 8;
	case 13:
		return 14;
	case 14:
		return 13;
	case 15:
		return 16;
	case 16:
		return 15;
	case 17:
		return 18;
	case 18:
		return 17;
	default:
		return 255;
	}
}

/* The tuple that an answer to t carries. */
static __always_inline void reverse(struct tuple *to, const struct tuple *t)
{
	__builtin_memset(to, 0, sizeof(*to));
	copy16(to->saddr, t->daddr);
	copy16(to->daddr, t->saddr);
	to->proto = t->proto;
	if (t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6) {
		__u16 tc = bpf_ntohs(t->dport);

		to->sport = t->sport;
		to->dport = bpf_htons((__u16)icmp_answer(t->proto, tc >> 8) << 8 | (tc & 0xff));
		return;
	}
	to->sport = t->dport;
	to->dport = t->sport;
}

static __always_inline int same_tuple(const struct tuple *a, const struct tuple *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4];
}

static __always_inline void copy_nf_addr(__u8 *to, union nf_inet_addr *from, int v6)
{
	__u32 *w = (__u32 *)to;

	if (!v6) {
		map_v4(to, from->ip);
		return;
	}
	w[0] = from->all[0];
	w[1] = from->all[1];
	w[2] = from->all[2];
	w[3] = from->all[3];
}

static __always_inline void from_nf_ports(struct tuple *to, __be16 sport, __be16 dport)
{
	switch (to->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_ICMP:
		to->sport = sport;
		to->dport = dport;
		break;
	case IPPROTO_ICMPV6:
		to->dport = dport;
		/* identifiers only where the message has one; see parse_l4 */
		if (bpf_ntohs(dport) >> 8 == 128 || bpf_ntohs(dport) >> 8 == 129)
			to->sport = sport;
		break;
	}
}

static __always_inline void from_nf(struct tuple *to, struct nf_conntrack_tuple *t)
{
	int v6 = t->src.l3num == AF_INET6;

	__builtin_memset(to, 0, sizeof(*to));
	copy_nf_addr(to->saddr, &t->src.u3, v6);
	copy_nf_addr(to->daddr, &t->dst.u3, v6);
	to->proto = t->dst.protonum;
	from_nf_ports(to, t->src.u.all, t->dst.u.all);
}

/* from_nf of a tuple that the verifier does not know for one: copied in one go,
 * since a copy costs more by its number than by its length. */
static __always_inline void from_kernel(struct tuple *to, struct nf_conntrack_tuple *t)
{
	struct nf_conntrack_tuple copy;

	bpf_probe_read_kernel(&copy, sizeof(copy), t);
	from_nf(to, &copy);
}

/* What conntrack has of the packet, for kernel_field. */
static __always_inline struct nf_conn *ct_raw(struct __sk_buff *skb)
{
	struct sk_buff *k = kernel_skb(sk_buff, skb);

	return (struct nf_conn *)(kernel_field(k->_nfct) & ~7UL);	/* NFCT_PTRMASK */
}

static __always_inline struct nf_conn *ct_find(struct __sk_buff *skb, const struct tuple *t,
					       struct bpf_ct_opts *opts)
{
	struct bpf_sock_tuple key = {};

	opts->netns_id = BPF_F_CURRENT_NETNS;
	opts->l4proto = t->proto;
	if (t->proto != IPPROTO_TCP && t->proto != IPPROTO_UDP)
		return 0;
	if (is_v4(t->saddr)) {
		key.ipv4.saddr = ((const __be32 *)t->saddr)[3];
		key.ipv4.daddr = ((const __be32 *)t->daddr)[3];
		key.ipv4.sport = t->sport;
		key.ipv4.dport = t->dport;
		return bpf_skb_ct_lookup(skb, &key, sizeof(key.ipv4), opts, NF_BPF_CT_OPTS_SZ);
	}
	copy16(key.ipv6.saddr, t->saddr);
	copy16(key.ipv6.daddr, t->daddr);
	key.ipv6.sport = t->sport;
	key.ipv6.dport = t->dport;
	return bpf_skb_ct_lookup(skb, &key, sizeof(key.ipv6), opts, NF_BPF_CT_OPTS_SZ);
}

/* Does conntrack know the packet's tuple? TCP and UDP only. */
SUBPROGRAM int ct_known(struct __sk_buff *skb, struct work *w)
{
	struct bpf_ct_opts opts = {};
	struct nf_conn *ct;

	if (!w)
		return 0;
	ct = ct_find(skb, &w->packet.tuple, &opts);
	if (!ct)
		return 0;
	bpf_ct_release(ct);
	return 1;
}

/*
 * What conntrack knows of the packet's flow: how it began, how its answers
 * arrive, the packet's direction, and whether it is a TCP connection past its end.
 */
SUBPROGRAM int ct_state(struct __sk_buff *skb, struct work *w)
{
	struct bpf_ct_opts opts = {};
	struct nf_conn *ct;

	if (!w)
		return 0;
	ct = ct_find(skb, &w->packet.tuple, &opts);
	if (!ct)
		return 0;
	from_nf(&w->orig, &ct->tuplehash[0].tuple);
	from_nf(&w->reply, &ct->tuplehash[1].tuple);
	w->dir = opts.dir;
	w->closing = w->packet.tuple.proto == IPPROTO_TCP && ct->proto.tcp.state >= TCP_CONNTRACK_FIN_WAIT;
	bpf_ct_release(ct);
	return 1;
}

/* Ends conntrack's entry, so that the flow may begin anew. TCP and UDP only. */
static __always_inline void ct_end(struct __sk_buff *skb, const struct tuple *t)
{
	struct bpf_ct_opts opts = {};
	struct nf_conn *ct = ct_find(skb, t, &opts);

	if (!ct)
		return;
	bpf_ct_change_timeout(ct, 0);
	bpf_ct_release(ct);
}

/* How the flow that a packet at egress belongs to began, and how its answers arrive. */
static __always_inline int ct_of_packet(struct __sk_buff *skb, struct tuple *orig, struct tuple *reply)
{
	struct nf_conn *ct = ct_raw(skb);

	if (!ct)
		return 0;
	from_kernel(orig, &ct->tuplehash[0].tuple);
	from_kernel(reply, &ct->tuplehash[1].tuple);
	return 1;
}

/* The same into w. Of its own: egress has no stack to spare. */
SUBPROGRAM int ct_origin(struct __sk_buff *skb, struct work *w)
{
	return w ? ct_of_packet(skb, &w->orig, &w->reply) : 0;
}

/* Ends conntrack's entry of the packet's flow, translated or not. */
SUBPROGRAM int ct_end_of_packet(struct __sk_buff *skb, struct work *w)
{
	if (!w)
		return 0;
	if (ct_origin(skb, w))
		ct_end(skb, &w->orig);
	return 0;
}

#endif
