/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Flows that were judged under another policy, or at another time of the schedules:
 * they are asked about again, and pass, or are cut.
 */
#ifndef NGFW_REJUDGE_H
#define NGFW_REJUDGE_H

#include "learn.h"
#include "translate.h"
#include "verdict.h"

/*
 * The NAT rule whose flow f is by its source, under this policy. A changed one holds
 * for new flows, and f stays its own; of one that is gone it is no more.
 */
static __always_inline __u32 source_rule(struct work *w, const struct flow *f)
{
	if (!(f->flags & FLOW_REPLY_KNOWN) || w->flow.zone_in <= ZONE_SELF || w->flow.zone_out <= ZONE_SELF)
		return 0;
	w->reply = f->reply;
	w->question.verdict.action = 0;		/* what find_source asks is another question */
	return find_source(w, &w->flow, f->ifindex_out) || w->flow.nat[1] == f->nat[1] ? w->flow.nat[1] : 0;
}

/* The NAT rule of f's destination is gone or changed: f and conntrack's entry end. */
static __always_inline int cut_translation(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	decide(w, DECIDER(DECIDER_REASON, REASON_NAT_CHANGED), ACTION_DROP);
	ct_end(skb, &w->packet.tuple);
	if (!(f->flags & FLOW_CUT)) {
		count_stat(STAT_REJUDGED, 1);
		__sync_fetch_and_or(&f->flags, FLOW_CUT | FLOW_CLOSED);
		end_fast(f);
		emit(EVENT_CLOSE, w->now, f);
	}
	return 0;
}

/* Has a schedule that f's verdict depends on begun or ended, or the clock been set? */
static __always_inline int expired(const struct flow *f)
{
	__u64 valid = *(volatile __u64 *)&f->valid, now, ns;

	if (!valid)
		return 0;
	now = wall_clock(&ns);
	if (!now)
		return valid != VALID_UNSET;
	return now < (__u32)valid || now >= valid >> 32;
}

/*
 * The policy changed since f was judged, or the time has come: judge it again by
 * its own tuple, from whichever direction this packet comes. A flow that passes
 * goes on as it is.
 */
SUBPROGRAM int rejudge(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	if (!w || !f)
		return 0;
	__builtin_memcpy(&w->flow, f, sizeof(w->flow));
	w->flow.zone_in = zone_of(w->slot, f->ifindex_in);
	w->flow.zone_out = zone_of(w->slot, f->ifindex_out);
	if (f->flags & FLOW_DNAT) {
		/* The rule that translates it holds still, or one that does the same. */
		switch (find_destination(w, &w->flow)) {
		case 1:
			if (same_destination(f, w->flow.to, w->flow.to_port))
				break;
			/* fall through */
		case 0:
			return cut_translation(skb, w, f);
		default:
			return 0;
		}
		f->nat[0] = w->flow.nat[0];
	}
	tell_source(w, &w->flow);
	decide_flow(w, &w->flow);
	if (!w->question.verdict.action)	/* swapped away under us: the next packet asks again */
		return 0;
	w->flow.revision = w->revision;
	if (w->question.verdict.action != ACTION_ACCEPT) {
		/* The record keeps what let its packets pass, and its old revision: each
		 * further packet is judged again, and refused for itself. */
		if (!(f->flags & FLOW_CUT)) {
			w->cut = 1;
			count_stat(STAT_REJUDGED, 1);
			__sync_fetch_and_or(&f->flags, FLOW_CUT | FLOW_CLOSED);
			end_fast(f);
			emit(EVENT_CLOSE, w->now, f);
		}
		return 0;
	}
	count_stat(STAT_REJUDGED, 1);
	f->decider = w->question.verdict.decider;
	f->priority = w->flow.priority;
	f->zone_in = w->flow.zone_in;
	f->zone_out = w->flow.zone_out;
	f->revision = w->revision;
	f->valid = w->question.valid;
	f->nat[1] = source_rule(w, f);		/* another question: the answers are gone behind it */
	if (f->flags & FLOW_CUT)
		__sync_fetch_and_and(&f->flags, ~FLOW_CUT);
	return 0;
}

#endif
