/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Counters: per decider, per drop reason, per flow. Wire packets and IP lengths. */
#ifndef NGFW_ACCOUNT_H
#define NGFW_ACCOUNT_H

#include "maps.h"
#include "parse.h"

static __always_inline struct amount amount_of(struct __sk_buff *skb, const struct packet *p)
{
	struct amount a = { .packets = 1, .bytes = p->bytes };

	if (skb->gso_segs > 1) {
		a.packets = skb->gso_segs;
		a.bytes += (a.packets - 1) * p->headers;
	}
	return a;
}

static __always_inline void count_stat(__u32 stat, __u64 n)
{
	__u64 *v = element(&stats, stat);

	if (v)
		*v += n;
}

static __always_inline struct counter *counter_of(__u32 decider)
{
	__u32 near = decider - DECIDER(DECIDER_RULE, 0);

	if (near < NEAR_RULES)
		return element(&rule_counters, bpf_get_smp_processor_id() * NEAR_RULES + near);
	return bpf_map_lookup_elem(&counters, &decider);
}

/* now is the boot clock, ns: read once a packet, because reading it is not free. */
static __always_inline void add_count(struct counter *c, struct amount a, __u64 now)
{
	if (!c) {
		count_stat(STAT_NO_COUNTER, a.packets);
		return;
	}
	c->packets += a.packets;
	c->bytes += a.bytes;
	c->last = now;
}

static __always_inline void count(void *map, __u32 key, struct amount a, __u64 now)
{
	add_count(bpf_map_lookup_elem(map, &key), a, now);
}

static __always_inline void count_decider(__u32 decider, struct amount a, __u64 now)
{
	add_count(counter_of(decider), a, now);
}

static __always_inline void count_flow(struct flow *f, __u32 dir, struct amount a)
{
	/* Both directions may run on different CPUs, hence atomic. */
	atomic_add(&f->packets[dir & 1], a.packets);
	atomic_add(&f->bytes[dir & 1], a.bytes);
}

#endif
