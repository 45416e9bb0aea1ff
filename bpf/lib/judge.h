/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How a packet gets its verdict: from its flow, from conntrack's knowledge of
 * a flow we do not have, or as the first of a new one.
 *
 * The functions answer TC_NEXT or TC_DROP; known() may also answer UNKNOWN.
 */
#ifndef NGFW_JUDGE_H
#define NGFW_JUDGE_H

#include "flow.h"
#include "inspect.h"
#include "ending.h"
#include "qos.h"
#include "rejudge.h"
#include "reset.h"
#include "route.h"
#include "translate.h"
#include "verdict.h"

#define TC_NEXT (-1)		/* TCX_NEXT, TC_ACT_UNSPEC: other filters still run */
#define TC_DROP 2		/* TCX_DROP, TC_ACT_SHOT */
#define UNKNOWN 0		/* no verdict: the packet is a new flow's */

static __always_inline void set_mark(struct __sk_buff *skb, __u32 bits)
{
	__u32 mark;

	/*
	 * The verifier takes accesses to the whole field at a constant offset from
	 * the context alone; left to itself the compiler narrows the store and
	 * keeps a pointer to the field.
	 */
	asm volatile("%[mark] = *(u32 *)(%[skb] + %[at])"
		     : [mark] "=r"(mark)
		     : [skb] "r"(skb), [at] "i"(__builtin_offsetof(struct __sk_buff, mark)));
	mark = (mark & ~MARK_OURS) | bits;
	asm volatile("*(u32 *)(%[skb] + %[at]) = %[mark]"
		     :
		     : [mark] "r"(mark), [skb] "r"(skb), [at] "i"(__builtin_offsetof(struct __sk_buff, mark))
		     : "memory");
}

static __always_inline __u32 mark_zone(__u32 zone)
{
	return zone << MARK_ZONE_SHIFT & MARK_ZONE_MASK;
}

/* The zone that a packet of f in this direction leaves for. */
static __always_inline __u32 far_zone(const struct flow *f, __u32 dir)
{
	return dir ? f->zone_in : f->zone_out;
}

static __always_inline int drop(struct work *w, __u32 reason)
{
	w->reason = reason;
	count(&drops, reason, w->amount, w->now);
	return TC_DROP;
}

/* Store w->flow, which is filled but for ids and times, as a new flow. */
static __attribute__((noinline)) struct flow *create(struct work *w)
{
	struct flow *f;

	w->flow.opened = w->now;
	w->flow.seen = w->now;
	w->flow.checked = w->now;
	w->flow.decider = w->question.verdict.decider;
	w->flow.valid = w->question.valid;
	/* Its first packet counts before anybody sees it, which needs no atomics. */
	w->flow.packets[w->dir & 1] = w->amount.packets;
	w->flow.bytes[w->dir & 1] = w->amount.bytes;
	if (w->question.verdict.log)
		w->flow.flags |= FLOW_LOG;
	f = flow_open(&w->flow, w->now);
	if (!f)
		return 0;
	if (!lead(&f->orig, f->id)) {
		flow_close(f, f->id);
		return 0;
	}
	count_stat(STAT_FLOWS_OPENED, 1);
	return f;
}

/* A packet of a flow that may pass, and is counted there: say so in its mark. */
static __attribute__((noinline)) int pass(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	__u32 mark = MARK_JUDGED | mark_zone(far_zone(f, w->dir));
	int tcp = w->packet.tuple.proto == IPPROTO_TCP, look = inspect(f);
	__u32 class, way;

	if (w->dir && !(f->flags & FLOW_SEEN_REPLY))
		__sync_fetch_and_or(&f->flags, FLOW_SEEN_REPLY);
	f->seen = w->now;
	count_decider(f->decider, w->amount, w->now);
	count_nat(f, w->amount, w->now);
	if (tcp && w->packet.flags & (PKT_FIN | PKT_RST)) {
		if (w->zone != ZONE_SELF && far_zone(f, w->dir) != ZONE_SELF)
			mark |= MARK_LEARN;	/* noted where it leaves */
		else if (w->zone == ZONE_SELF || !(w->packet.flags & PKT_RST) || ct_resets(skb, w))
			note_tcp(f, w);
		end_fast(f);
	}
	if (look < 0)	/* counted for its rule all the same */
		return drop(w, REASON_THREAT);
	if (w->dir || (tcp && !(w->packet.flags & PKT_SYN) && f->flags & FLOW_SEEN_REPLY))
		mark |= MARK_REPLY;
	if (!w->dir && !(f->flags & FLOW_REPLY_KNOWN))
		mark |= MARK_LEARN;
	if (!w->dir && f->priority)
		skb->priority = f->priority;
	if (!w->dir && f->flags & FLOW_DNAT) {
		/* An answer's claim of state has no meaning on a first packet. */
		if (f->flags & FLOW_TURN && !(mark & MARK_REPLY))
			mark |= MARK_TURN;
	}
	/* What is shaped takes the long way, as the short one passes by qdiscs; only
	 * its numbers are noted there. What the matcher looks at takes it too. */
	class = qos_class(skb, w, f);
	mark |= mark_class(class);
	way = ask_way(skb, w, f, !look);
	if (way == WEIGH_NUMBERS)
		weigh_numbers(skb, w, f);
	mark |= look | (way & (class ? 0 : MARK_LEARN));
	set_mark(skb, mark);
	return TC_NEXT;
}

/* Counts and tells a packet that w->question.verdict is against. */
static __always_inline void note_refused(struct work *w)
{
	__u32 decider = w->question.verdict.decider;

	w->flow.decider = decider;
	w->reason = decider >> 28 == DECIDER_REASON ? decider & (REASON_MAX - 1) : REASON_POLICY;
	count_decider(decider, w->amount, w->now);
	count(&drops, w->reason, w->amount, w->now);
	refuse(w);
}

/* w->flow is what the packet would open, w->question.verdict why it may not. */
static __attribute__((noinline)) int refused(struct __sk_buff *skb, struct work *w)
{
	note_refused(w);
	/* The backstop answers; never a reset with a reset (RFC 9293 3.5.2). What the
	 * router sends has it behind: an answer in a flow from outside that was cut.
	 * Behind a forged source is nobody who asked, and perhaps another's connection,
	 * whose end conntrack would see. */
	if (w->question.verdict.action == ACTION_REJECT && w->zone != ZONE_SELF && w->flow.ifindex_in &&
	    !(w->packet.flags & PKT_RST) && !forged(skb, w)) {
		set_mark(skb, MARK_REJECT);
		return TC_NEXT;
	}
	return TC_DROP;
}

static __always_inline int refused_for(struct __sk_buff *skb, struct work *w, __u32 reason)
{
	decide(w, DECIDER(DECIDER_REASON, reason), ACTION_DROP);
	return refused(skb, w);
}

/* Does the flow behind the packet still exist for conntrack? */
static __always_inline int vouched(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	__u8 proto = w->packet.tuple.proto;

	if (age(w->now, f->checked) <= VOUCHED)
		return 1;
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP) {
		/* Its first direction may begin again as it is; an answer without a
		 * question is judged for itself. */
		if (!ct_known(skb, w) &&
		    (w->dir || (proto == IPPROTO_TCP && !(w->packet.flags & PKT_SYN))))
			return 0;
	} else if (w->dir && age(w->now, f->seen) > (is_icmp(proto) ? ICMP_IDLE : GENERIC_IDLE)) {
		return 0;
	}
	f->checked = w->now;
	return 1;
}

/* May the packet be the first of a flow? */
static __always_inline int starts(const struct work *w)
{
	return w->packet.tuple.proto != IPPROTO_TCP || w->packet.flags & PKT_SYN;
}

/* A connection that was cut with reject, by the first packet that came after. */
static __always_inline int end_both(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	set_mark(skb, MARK_JUDGED | mark_zone(w->zone));	/* as what goes back leaves */
	switch (reset_both(skb, w)) {
	case 0:
		return refused(skb, w);
	case 1:
		note_refused(w);
		set_mark(skb, MARK_JUDGED | MARK_REPLY | mark_zone(far_zone(f, w->dir)));
		return TC_NEXT;
	default:
		note_refused(w);
		return TC_DROP;
	}
}

/* A packet of f, which is judged under this policy. */
SUBPROGRAM int go_on(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	if (!w || !f)
		return TC_DROP;
	if (f->flags & FLOW_CUT) {
		/* Its own sender may begin anew, as the rules are now. */
		if (w->question.verdict.decider == DECIDER(DECIDER_REASON, REASON_NAT_CHANGED) && !w->dir && starts(w))
			return UNKNOWN;
		if (w->cut && w->question.verdict.action == ACTION_REJECT && w->zone != ZONE_SELF &&
		    w->packet.tuple.proto == IPPROTO_TCP && !(w->packet.flags & PKT_FIRST_FRAGMENT))
			return end_both(skb, w, f);
		return w->question.verdict.action ? refused(skb, w) : drop(w, REASON_NO_IMAGE);
	}
	if (w->zone != (w->dir ? f->zone_out : f->zone_in))
		return drop(w, REASON_WRONG_ZONE);
	if (!vouched(skb, w, f))
		return UNKNOWN;
	if (w->packet.flags & (PKT_FIN | PKT_RST) && !is_end(skb, w, f))
		return drop(w, REASON_NO_STATE);
	count_flow(f, w->dir, w->amount);
	return pass(skb, w, f);
}

/* A packet whose flow f is in the table. One after the other: the stack is small. */
static __always_inline int known(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	/* A port used again is another flow. */
	if (f->flags & FLOW_CLOSED && !(f->flags & FLOW_CUT) && w->packet.flags & PKT_SYN)
		return UNKNOWN;
	w->question.verdict.action = 0;
	w->cut = 0;
	w->path = PATH_KNOWN;
	if (f->revision != w->revision || f->flags & FLOW_CUT || expired(f)) {
		w->path = PATH_KNOWN | PATH_REJUDGED;
		rejudge(skb, w, f);
	}
	return go_on(skb, w, f);
}

/*
 * Conntrack knows the packet's flow (w->orig, reply, dir), we do not: take it
 * over, judged by its own tuple. in and out are its interfaces.
 */
SUBPROGRAM int adopt(struct __sk_buff *skb, struct work *w, __u32 in, __u32 out)
{
	struct flow *f;

	w = of_map(w);
	if (!w)
		return TC_DROP;
	w->path = PATH_ADOPTED;
	f = &w->flow;
	f->orig = w->orig;
	f->reply = w->reply;
	f->ifindex_in = in;
	f->ifindex_out = out;
	f->zone_in = zone_of(w->slot, in);
	f->zone_out = zone_of(w->slot, out);
	f->flags = FLOW_REPLY_KNOWN;
	reverse(&w->tuple, &w->orig);
	if (!same_tuple(&w->tuple, &w->reply))
		f->flags |= FLOW_NAT;
	/* Is it a NAT rule's? What others translate goes by its tuples alone. */
	if (find_destination(w, f) == 1) {
		if (same_destination(f, w->reply.saddr, w->reply.sport)) {
			if (w->nat.flags & NAT_HAIRPIN && f->zone_in == f->zone_out)
				f->flags |= FLOW_TURN;
		} else {
			f->flags &= ~FLOW_DNAT;
			f->nat[0] = 0;
		}
	}
	if (f->zone_in > ZONE_SELF && f->zone_out > ZONE_SELF && !find_source(w, f, out))
		f->nat[1] = 0;
	tell_source(w, f);
	decide_flow(w, f);
	if (!w->question.verdict.action)
		return drop(w, REASON_NO_IMAGE);
	if (w->question.verdict.action != ACTION_ACCEPT)
		return refused(skb, w);
	if (w->zone != ZONE_SELF && forged(skb, w))
		return refused_for(skb, w, REASON_FORGED);
	if (w->packet.flags & (PKT_FIN | PKT_RST) && !is_end(skb, w, f))
		return refused_for(skb, w, REASON_NO_STATE);
	if (w->closing) {
		/* The tail of a connection whose end has been told. */
		count_decider(w->question.verdict.decider, w->amount, w->now);
		set_mark(skb, MARK_JUDGED | MARK_REPLY | mark_zone(far_zone(f, w->dir)));
		return TC_NEXT;
	}
	f = create(w);
	if (!f)
		return drop(w, REASON_FLOW_TABLE_FULL);
	count_stat(STAT_ADOPTED, 1);
	learn_reply(f, &w->reply);
	announce(f, w->now);
	return pass(skb, w, f);
}

/*
 * Signalling is no flow: every message stands for itself. Nor is a lease: any
 * zone may send one, and must not be able to fill the table by it.
 */
static __always_inline int signalling(__u32 decider)
{
	return decider == DECIDER(DECIDER_SYSTEM, SYSTEM_NEIGHBOUR_DISCOVERY) ||
	       decider == DECIDER(DECIDER_SYSTEM, SYSTEM_MLD) ||
	       decider == DECIDER(DECIDER_SYSTEM, SYSTEM_DHCP_CLIENT);
}

/* The first packet of a new flow; w->flow has its tuple, interfaces and zones. */
SUBPROGRAM int begin(struct __sk_buff *skb, struct work *w)
{
	struct flow *f;

	w = of_map(w);
	if (!w)
		return TC_DROP;
	w->path = PATH_NEW;
	if (w->packet.tuple.proto == IPPROTO_TCP && !(w->packet.flags & PKT_SYN))
		return refused_for(skb, w, w->flow.zone_in ? REASON_NO_STATE : REASON_NO_ZONE);
	tell_source(w, &w->flow);
	decide_flow(w, &w->flow);
	if (!w->question.verdict.action)
		return drop(w, REASON_NO_IMAGE);
	if (w->question.verdict.action != ACTION_ACCEPT)
		return refused(skb, w);
	w->dir = 0;
	if (signalling(w->question.verdict.decider)) {
		count_decider(w->question.verdict.decider, w->amount, w->now);
		set_mark(skb, MARK_JUDGED | mark_zone(w->flow.zone_out));
		return TC_NEXT;
	}
	if (w->flow.zone_in != ZONE_SELF && forged(skb, w))
		return refused_for(skb, w, REASON_FORGED);
	f = create(w);
	if (!f)
		return drop(w, REASON_FLOW_TABLE_FULL);
	if (f->zone_in == ZONE_SELF || f->zone_out == ZONE_SELF) {
		/* What is for the router is not translated; what it sends is seen
		 * here as it leaves, and answered so. */
		reverse(&w->tuple, &f->orig);
		learn_reply(f, &w->tuple);
		announce(f, w->now);
	}
	return pass(skb, w, f);
}

#endif
