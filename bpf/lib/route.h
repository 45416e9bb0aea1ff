/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The kernel's routes: where a packet would leave, and whether its source lies where it came from. */
#ifndef NGFW_ROUTE_H
#define NGFW_ROUTE_H

#include "flow.h"

#define EINVAL 22

struct raw_address {
	__u8 byte[16];
};

/*
 * The kernel's route: bpf_fib_lookup's answer; w->way is the interface. With
 * neighbour, also who is next on it.
 */
SUBPROGRAM int look_up(struct __sk_buff *skb, struct work *w, const struct raw_address *from,
		       const struct raw_address *to, __u32 neighbour)
{
	struct bpf_fib_lookup fib = {};
	const __u8 *src, *dst;
	int rc;

	if (!w || !from || !to)
		return BPF_FIB_LKUP_RET_UNREACHABLE;
	src = from->byte;
	dst = to->byte;
	fib.ifindex = w->ifindex;
	fib.l4_protocol = w->packet.tuple.proto;
	fib.tot_len = 1;	/* fits everywhere: else the kernel looks the interface up to ask it */
	if (is_v4(dst)) {
		fib.family = AF_INET;
		fib.tos = w->packet.tos & 0x1c;	/* what routes may depend on */
		fib.ipv4_src = ((const __be32 *)src)[3];
		fib.ipv4_dst = ((const __be32 *)dst)[3];
	} else {
		fib.family = AF_INET6;
		copy16(fib.ipv6_src, src);
		copy16(fib.ipv6_dst, dst);
	}
	rc = bpf_fib_lookup(skb, &fib, sizeof(fib), neighbour ? 0 : BPF_FIB_LOOKUP_SKIP_NEIGH);
	if (rc == -EINVAL)	/* Linux before 6.3 has no such flag */
		rc = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	w->way = fib.ifindex;
	__builtin_memset(w->neighbour, 0, sizeof(w->neighbour));
	if (neighbour && rc == BPF_FIB_LKUP_RET_SUCCESS)
		__builtin_memcpy(w->neighbour, fib.dmac, ETH_ALEN);
	/* An unresolved neighbour is still a route; so is one that needs fragments. */
	if (rc == BPF_FIB_LKUP_RET_NO_NEIGH || rc == BPF_FIB_LKUP_RET_FRAG_NEEDED ||
	    rc == BPF_FIB_LKUP_RET_UNSUPP_LWT)
		return BPF_FIB_LKUP_RET_SUCCESS;
	return rc;
}

/*
 * Where the kernel would send a packet from src to dst: an interface, or 0 for
 * the router itself, which also answers for what has no route. Broadcast and
 * multicast are for the router: the kernel sees to them before it asks its
 * routes, where a default route would claim them (ip_route_input_slow).
 */
static __always_inline __u32 route(struct __sk_buff *skb, struct work *w, const __u8 *src,
				   const __u8 *dst, __u32 neighbour)
{
	if (is_for_many(dst) ||
	    look_up(skb, w, (const void *)src, (const void *)dst, neighbour) != BPF_FIB_LKUP_RET_SUCCESS)
		return 0;
	return w->way;
}

/*
 * Does the packet's source belong to another zone than it came from? The way
 * back tells (RFC 3704 2.2, by zone and not by interface, so that several ways
 * into one zone may be used unevenly). A source without a way back is forged
 * too, as is the router's own. Who has no address yet or IPv6's of the link is
 * believed; such packets are not forwarded.
 */
SUBPROGRAM int forged(struct __sk_buff *skb, struct work *w)
{
	struct raw_address any = {};
	const __u8 *src, *dst;
	long rc;

	if (!w)
		return 1;
	src = w->packet.tuple.saddr;
	dst = w->packet.tuple.daddr;
	if (is_unspecified(src) || is_link_local(src))
		return 0;
	/* What was sent to many is answered by one of them, of whichever address: from a
	 * multicast one IPv6 has no way to anybody. */
	if (is_for_many(dst) && !is_v4(dst))
		dst = any.byte;
	rc = look_up(skb, w, (const void *)dst, (const void *)src, 0);
	if (rc == BPF_FIB_LKUP_RET_SUCCESS)
		return w->way != w->ifindex && zone_of(w->slot, w->way) != w->zone;
	/* Where nothing is forwarded, the lookup knows no way at all. */
	return rc != BPF_FIB_LKUP_RET_FWD_DISABLED;
}

#endif
