/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is asked about a flow as a whole, of the classifier and before it; w->question has the answer. */
#ifndef NGFW_VERDICT_H
#define NGFW_VERDICT_H

#include "flow.h"
#include "translate.h"

/* The agent's own connection, so that no policy can cut a router off its cloud. */
static __always_inline int is_cloud(const struct tuple *t)
{
	struct config *c = element(&settings, 0);
	const __u64 *a, *b = (const __u64 *)t->daddr;

	if (!c || !c->cloud_port || t->proto != IPPROTO_TCP || t->dport != c->cloud_port)
		return 0;
	a = (const __u64 *)c->cloud_addr;
	return a[0] == b[0] && a[1] == b[1];
}

static __always_inline void decide(struct work *w, __u32 decider, __u8 action)
{
	w->question.verdict.decider = decider;
	w->question.verdict.action = action;
	w->question.verdict.log = 0;
	w->question.valid = 0;
}

/* Ask the classifier about a flow: original source, translated destination. */
static __always_inline void ask(struct work *w, const struct flow *f, __u32 zone_in, __u32 zone_out)
{
	struct question *q = &w->question;

	pose(w, f);
	if (f->flags & FLOW_DNAT) {
		q->dst = to_address(f->to);
		if (has_ports(q->proto))
			q->port = bpf_ntohs(f->to_port);
		q->nat = w->nat;
	} else if (f->flags & FLOW_REPLY_KNOWN) {
		q->dst = to_address(f->reply.saddr);
		q->port = bpf_ntohs(is_icmp(f->orig.proto) ? f->orig.dport : f->reply.sport);
	}
	q->zone_in = zone_in;
	q->zone_out = zone_out;
	q->now = NOW_CLOCK;
	judge(q);
}

/* The verdict of a flow as a whole: system rules that need more than the classifier sees, zones, policy. */
static __always_inline void decide_flow(struct work *w, const struct flow *f)
{
	if (f->zone_in == ZONE_SELF && is_cloud(&f->orig))
		decide(w, DECIDER(DECIDER_SYSTEM, SYSTEM_CLOUD), ACTION_ACCEPT);
	else if (f->zone_in == ZONE_NONE || f->zone_out == ZONE_NONE)
		decide(w, DECIDER(DECIDER_REASON, REASON_NO_ZONE), ACTION_DROP);
	else
		ask(w, f, f->zone_in, f->zone_out);
}

#endif
