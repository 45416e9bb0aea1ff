// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Asks what enforcement asks of the first packet of a flow, in its order. Run
 * by BPF_PROG_TEST_RUN with a struct question as context; touches no counter,
 * flow or ring.
 */
#include "lib/nat.h"

static __always_inline int dropped(struct question *q, __u32 reason)
{
	q->verdict.decider = DECIDER(DECIDER_REASON, reason);
	q->verdict.action = ACTION_DROP;
	q->verdict.log = 0;
	return 0;
}

/* 0: the image was swapped away. */
static __always_inline int translate_destination(struct question *q)
{
	struct nat_box *b;
	int at = NAT_NONE;

	if (q->zone_in == ZONE_SELF || nat_settled(q))
		return 1;
	for (int i = 0; i < NAT_TRIES; i++) {
		at = nat_find(q, NAT_STEP_DESTINATION, at + 1);
		if (at < 0)
			return !q->search.torn;
		b = nat_box_at(q->slot, at);
		if (!b)
			return 0;
		if (nat_turns(b, q->zone_in, q->zone_out)) {
			nat_translate(b, q, &q->dst, &q->port);
			nat_note(q, b);
			return 1;
		}
	}
	return 0;
}

static __always_inline int translate_source(struct question *q)
{
	struct nat_meta *meta = nat_meta_of(q->slot);
	struct nat_box *b;
	int at;

	if (!meta)
		return 0;
	if (q->zone_in != ZONE_SELF) {
		if (q->nat.rule && q->nat.flags & NAT_HAIRPIN && q->zone_in == q->zone_out) {
			q->nat.source_rule = q->nat.rule;
			q->nat.flags |= NAT_MASQUERADE;
			return 1;
		}
		at = nat_find(q, NAT_STEP_SOURCE, 0);
		if (q->search.torn)
			return 0;
		if (at >= 0) {
			b = nat_box_at(q->slot, at);
			if (!b)
				return 0;
			q->nat.source_rule = b->rule;
			q->nat.flags |= b->flags & NAT_MASQUERADE;
			return 1;
		}
	}
	if (!q->v6 && meta->masquerade >> (q->zone_out % MAX_ZONES) & 1)
		q->nat.flags |= NAT_MASQUERADE;
	return 1;
}

SEC("syscall")
int ngfw_simulate(struct question *q)
{
	struct work *w = element(&works, WORK_SIMULATE);
	int icmp;

	if (!w)
		return 1;
	from_address(w->tuple.saddr, q->src);
	from_address(w->tuple.daddr, q->dst);
	icmp = q->proto == (q->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	/* Each family's header holds its own addresses. */
	if ((!q->v6 && (!is_v4(w->tuple.saddr) || !is_v4(w->tuple.daddr))) ||
	    impossible(&w->tuple, q->v6))
		return dropped(q, REASON_MALFORMED);
	if (q->zone_in == ZONE_NONE)
		return dropped(q, REASON_NO_ZONE);
	if (icmp && icmp_is_error(q->proto, q->port >> 8))
		return dropped(q, REASON_NO_STATE);
	if (q->zone_out == ZONE_NONE)
		return dropped(q, REASON_NO_ZONE);
	w->question = *q;
	__builtin_memset(&w->question.nat, 0, sizeof(w->question.nat));
	if (!translate_destination(&w->question))
		return 1;
	judge(&w->question);
	if (w->question.verdict.action == ACTION_ACCEPT && q->zone_out != ZONE_SELF && !translate_source(&w->question))
		return 1;
	*q = w->question;
	return 0;
}

char _license[] SEC("license") = "GPL";
