// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Asks what enforcement asks of the first packet of a flow, in its order. Run
 * by BPF_PROG_TEST_RUN with a struct question as context; touches no counter,
 * flow or ring.
 */
#include "lib/classify.h"

static __always_inline void from_address(__u8 *to, struct address a)
{
	__be32 *w = (__be32 *)to;

	w[0] = bpf_htonl(a.hi >> 32);
	w[1] = bpf_htonl((__u32)a.hi);
	w[2] = bpf_htonl(a.lo >> 32);
	w[3] = bpf_htonl((__u32)a.lo);
}

static __always_inline int dropped(struct question *q, __u32 reason)
{
	q->verdict.decider = DECIDER(DECIDER_REASON, reason);
	q->verdict.action = ACTION_DROP;
	q->verdict.log = 0;
	return 0;
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
	judge(&w->question);
	*q = w->question;
	return 0;
}

char _license[] SEC("license") = "GPL";
