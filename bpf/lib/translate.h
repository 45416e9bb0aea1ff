/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * NAT on the wire. Ingress decides the destination and tells nftables by the
 * packet's priority; egress holds conntrack's translation against what was
 * judged. What is translated otherwise is dropped and counted.
 */
#ifndef NGFW_TRANSLATE_H
#define NGFW_TRANSLATE_H

#include "flow.h"
#include "nat.h"

static __always_inline __u32 nat_port_of(const struct work *w, __u32 ifindex)
{
	__u32 port = ifindex == w->ifindex ? w->port : port_of(w->slot, ifindex);

	return ifindex ? port >> PORT_NAT_SHIFT & 0xff : 0;
}

static __always_inline __u64 mac_number(const __u8 *mac)
{
	return (__u64)mac[0] << 40 | (__u64)mac[1] << 32 | (__u64)mac[2] << 24 | mac[3] << 16 | mac[4] << 8 | mac[5];
}

/*
 * A flow's first packet as a question, as it arrives. Who asks NAT adds the port. Of
 * its own: what it takes of the stack its callers need further down.
 */
SUBPROGRAM int pose(struct work *w, const struct flow *f)
{
	struct question *q;

	if (!w || !f)
		return 0;
	q = &w->question;
	__builtin_memset(q, 0, __builtin_offsetof(struct question, search));	/* key_of sees to the rest */
	q->src = to_address(f->orig.saddr);
	q->dst = to_address(f->orig.daddr);
	q->port = bpf_ntohs(f->orig.dport);
	q->proto = f->orig.proto;
	q->sport = has_ports(q->proto) ? bpf_ntohs(f->orig.sport) : 0;
	q->v6 = !is_v4(f->orig.saddr);
	q->slot = w->slot;
	q->mac = f->zone_in == ZONE_SELF ? 0 : mac_number(f->smac);
	return 0;
}

/* The box makes the flow's destination. Of its own for the stack, as pose. */
SUBPROGRAM int note_destination(struct work *w, struct flow *f, const struct nat_box *b)
{
	struct question *q;
	struct address dst;
	__u16 port;
	struct nat_meta *meta;

	if (!w || !f || !b)
		return 0;
	q = &w->question;
	meta = nat_meta_of(w->slot);
	nat_translate(b, q, &dst, &port);
	from_address(f->to, dst);
	f->to_port = bpf_htons(port);
	f->nat[0] = b->rule;
	f->priority = NAT_PRIORITY | (meta ? meta->generation & 0xff : 0) << NAT_GENERATION_SHIFT | b->number;
	f->flags |= FLOW_DNAT;
	nat_note(q, b);
	w->nat = q->nat;
	return 0;
}

/*
 * The NAT rule of a flow with known zones. Answers 1: its destination is
 * translated, w->nat and f say so; 0: it is not; -1: nobody knows now.
 */
SUBPROGRAM int find_destination(struct work *w, struct flow *f)
{
	struct question *q;
	struct nat_box *b;
	int at = NAT_NONE;

	if (!w || !f)
		return -1;
	q = &w->question;
	__builtin_memset(&w->nat, 0, sizeof(w->nat));
	pose(w, f);
	if (f->zone_in <= ZONE_SELF || nat_settled(q))
		return 0;
	q->nat_in = nat_port_of(w, f->ifindex_in);
	for (int i = 0; i < NAT_TRIES; i++) {
		at = nat_find(q, NAT_STEP_DESTINATION, at + 1);
		if (at < 0)
			return q->search.torn ? -1 : 0;
		b = nat_box_at(w->slot, at);
		if (!b)
			return -1;
		if (nat_turns(b, f->zone_in, f->zone_out)) {
			note_destination(w, f, b);
			return 1;
		}
	}
	return -1;
}

/* Is the destination that f had, or has for conntrack, still what rules make of it? */
static __always_inline int same_destination(const struct flow *f, const __u8 *to, __be16 port)
{
	const __u64 *a = (const __u64 *)f->to, *b = (const __u64 *)to;

	return a[0] == b[0] && a[1] == b[1] && (!has_ports(f->orig.proto) || f->to_port == port);
}

static __always_inline int same_address(const __u8 *x, const __u8 *y)
{
	const __u64 *a = (const __u64 *)x, *b = (const __u64 *)y;

	return a[0] == b[0] && a[1] == b[1];
}

/* f as it leaves by out: its destination is the new one. */
static __always_inline void pose_leaving(struct work *w, const struct flow *f, __u32 out)
{
	struct question *q = &w->question;

	pose(w, f);
	q->nat_out = nat_port_of(w, out);
	if (f->flags & FLOW_DNAT) {
		q->dst = to_address(f->to);
		if (has_ports(q->proto))
			q->port = bpf_ntohs(f->to_port);
	}
}

/*
 * May the source of f, which leaves by out, become what w->reply answers to? Where
 * it may, f has the rule. Conntrack may change a port to keep flows apart.
 */
SUBPROGRAM int find_source(struct work *w, struct flow *f, __u32 out)
{
	struct question *q;
	struct nat_meta *meta;
	struct nat_box *b;
	struct address to;
	__u16 port;
	int at;

	if (!w || !f)
		return 0;
	q = &w->question;
	f->nat[1] = 0;
	if (f->flags & FLOW_TURN) {
		f->nat[1] = f->nat[0];
		return !same_address(w->reply.daddr, f->orig.saddr);
	}
	pose_leaving(w, f, out);
	at = nat_find(q, NAT_STEP_SOURCE, 0);
	if (q->search.torn)
		return 0;
	if (at < 0) {
		meta = nat_meta_of(w->slot);
		if (!meta)
			return 0;
		if (!q->v6 && meta->masquerade >> (f->zone_out % MAX_ZONES) & 1)
			return !same_address(w->reply.daddr, f->orig.saddr);
		return same_address(w->reply.daddr, f->orig.saddr);
	}
	b = nat_box_at(w->slot, at);
	if (!b)
		return 0;
	f->nat[1] = b->rule;
	if (b->flags & NAT_LOG)
		__sync_fetch_and_or(&f->flags, FLOW_LOG);
	port = bpf_ntohs(w->reply.dport);
	if (b->ports == NAT_POOL && has_ports(q->proto) && (port < b->to_port || port > b->last_port))
		return 0;
	if (b->flags & NAT_MASQUERADE)
		return !same_address(w->reply.daddr, f->orig.saddr);
	to = to_address(w->reply.daddr);
	if (b->host.hi | b->host.lo)
		return to.hi == (b->to.hi | (q->src.hi & b->host.hi)) && to.lo == (b->to.lo | (q->src.lo & b->host.lo));
	return within(to, &b->to, &b->last);
}

/*
 * Tells nftables, by f's priority, what the box of f's source asks that it cannot see.
 * f's destination is decided under this image; its verdict comes after: this is
 * another question.
 */
SUBPROGRAM int tell_source(struct work *w, struct flow *f)
{
	struct question *q;
	struct nat_meta *meta;
	struct nat_box *b;
	__u32 target;
	int at;

	if (!w || !f)
		return 0;
	target = f->flags & FLOW_DNAT ? f->priority & NAT_NUMBER_MASK : 0;
	if (!target)
		f->priority = 0;
	meta = nat_meta_of(w->slot);
	if (!meta || !meta->tells || f->flags & FLOW_TURN || f->zone_in <= ZONE_SELF || f->zone_out <= ZONE_SELF)
		return 0;
	pose_leaving(w, f, f->ifindex_out);
	q = &w->question;
	at = nat_find(q, NAT_STEP_SOURCE, 0);
	if (at < 0)
		return 0;
	b = nat_box_at(w->slot, at);
	if (!b || !b->told)
		return 0;
	f->priority = NAT_PRIORITY | (meta->generation & 0xff) << NAT_GENERATION_SHIFT | (b->told & 0xff) << NAT_TOLD_SHIFT | target;
	return 0;
}

/* What NAT rules have translated, beside what decided it. */
static __always_inline void count_nat(const struct flow *f, struct amount a, __u64 now)
{
	__u32 destination = f->nat[0], source = f->nat[1];

	if (destination)
		count_decider(DECIDER(DECIDER_TRANSLATION, destination), a, now);
	if (source && source != destination)
		count_decider(DECIDER(DECIDER_TRANSLATION, source), a, now);
}

/*
 * A packet that shall be learned from leaves: is it translated as f was judged?
 * w->orig and w->reply are conntrack's.
 */
SUBPROGRAM int as_judged(struct work *w, struct flow *f)
{
	struct amount sofar;
	__u32 before;

	if (!w || !f)
		return 0;
	if (f->flags & FLOW_REPLY_KNOWN)
		return 1;
	before = f->nat[1];
	if (f->flags & FLOW_DNAT) {
		if (!same_destination(f, w->reply.saddr, w->reply.sport))
			return 0;
	} else if (!same_address(w->reply.saddr, f->orig.daddr)) {
		return 0;
	}
	if (!find_source(w, f, w->ifindex)) {
		f->nat[1] = 0;
		return 0;
	}
	/* The packets until now were counted without it. */
	if (f->nat[1] && f->nat[1] != before && f->nat[1] != f->nat[0]) {
		sofar.packets = f->packets[0];
		sofar.bytes = f->bytes[0];
		count_decider(DECIDER(DECIDER_TRANSLATION, f->nat[1]), sofar, f->seen);
	}
	return 1;
}

#endif
