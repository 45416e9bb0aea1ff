/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Before the policy: what is on a drop list ends here, and so does what a
 * flood guard has had enough of. The guards see first packets of flows alone.
 *
 * A guard is a leaky bucket in one number, the time when it will be empty
 * (ITU-T I.371's generic cell rate algorithm). Two CPUs may let a packet more
 * pass than it says.
 */
#ifndef NGFW_GUARD_H
#define NGFW_GUARD_H

#include "flow.h"
#include "lists.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct early);
} earlies SEC(".maps");

/* Written by the agent alone: which zone each number is. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EARLY_ZONES);
	__type(key, __u32);
	__type(value, struct list_name);
} early_zones SEC(".maps");

/* By guard and early zone. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GUARD_MAX * EARLY_ZONES);
	__type(key, __u32);
	__type(value, struct counter);
} guard_drops SEC(".maps");

/* What is forgotten first has been silent longest, and would be empty. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct guard_key);
	__type(value, __u64);
} guard_states SEC(".maps");

/* Takes one from the key's allowance; 0: there is none left. */
static __always_inline int allowed(const struct guard *g, const struct guard_key *key, __u64 now)
{
	__u64 *state = bpf_map_lookup_elem(&guard_states, key), empty, next;

	if (!state) {
		next = now + g->interval;
		bpf_map_update_elem(&guard_states, key, &next, BPF_ANY);
		return 1;
	}
	empty = *(volatile __u64 *)state;
	if (empty < now)
		empty = now;
	if (empty - now > g->burst)
		return 0;
	*(volatile __u64 *)state = empty + g->interval;
	return 1;
}

/* The number that lists and guards know an interface's zone by. */
static __always_inline __u32 early_zone(__u32 ifindex)
{
	struct config *c = element(&settings, 0);

	return c ? port_of(c->active & ACTIVE_SLOT, ifindex) >> PORT_EARLY_SHIFT & (EARLY_ZONES - 1) : 0;
}

static __always_inline __u32 guarded(const struct early *e, const struct packet *p, __u32 ifindex, __u32 zone, __u64 now)
{
	const struct tuple *t = &p->tuple;
	struct guard_key key = {};

	if (p->flags & PKT_ICMP_ERROR || (t->proto == IPPROTO_TCP && !(p->flags & PKT_SYN)))
		return REASON_NONE;	/* of a flow, or of none */
	key.zone = zone;
	if (p->flags & PKT_SYN && e->guard[GUARD_SYN][zone].interval) {
		key.hi = ifindex;
		key.kind = GUARD_SYN;
		if (!allowed(&e->guard[GUARD_SYN][zone], &key, now))
			return REASON_SYN_FLOOD;
	}
	if (!e->guard[GUARD_SOURCE][zone].interval)
		return REASON_NONE;
	if (!(p->flags & PKT_SYN) && led(t))
		return REASON_NONE;
	key.hi = ((const __u64 *)t->saddr)[0];
	key.lo = is_v4(t->saddr) ? ((const __u64 *)t->saddr)[1] : 0;
	key.kind = GUARD_SOURCE;
	return allowed(&e->guard[GUARD_SOURCE][zone], &key, now) ? REASON_NONE : REASON_SOURCE_FLOOD;
}

#define LOOK_WHOLE 1			/* it has its ports */
#define LOOK_TAGGED 2			/* its own interface is another, and will look too */

/* Why a packet goes no further, counted; REASON_NONE lets it. */
SUBPROGRAM int unwanted(const struct packet *p, __u32 ifindex, __u32 packets, int look)
{
	struct early *e = element(&earlies, 0);
	struct amount a = { .packets = packets };
	__u32 reason = REASON_NONE, zone = 0;
	__u64 now;
	int list;

	if (!p || !e)
		return REASON_NONE;
	if (!(look & LOOK_TAGGED) && (e->lists & LISTS_ZONED || e->guards & GUARDS_ZONED))
		zone = early_zone(ifindex);
	if (e->lists) {
		list = listed(&p->tuple, zone);
		if (list > 0) {
			a.bytes = p->bytes;
			now = bpf_ktime_get_boot_ns();
			count(&list_drops, (__u32)(list - 1), a, now);
			count(&drops, REASON_LISTED, a, now);
			return REASON_LISTED;
		}
	}
	if (!e->guards || look != LOOK_WHOLE)
		return REASON_NONE;
	now = bpf_ktime_get_boot_ns();
	reason = guarded(e, p, ifindex, zone, now);
	if (reason != REASON_NONE) {
		a.bytes = p->bytes;
		count(&guard_drops, (reason == REASON_SYN_FLOOD ? GUARD_SYN : GUARD_SOURCE) * EARLY_ZONES + zone, a, now);
		count(&drops, reason, a, now);
	}
	return reason;
}

#endif
