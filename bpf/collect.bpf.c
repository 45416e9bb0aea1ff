// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * What the agent does to whole tables, by BPF_PROG_TEST_RUN: ngfw_collect brings
 * the fast path's counts to where they are read, before it reads, and removes
 * entries that nothing uses any more; ngfw_doubt has every flow judged again.
 *
 * Softirqs interrupt this program, which they cannot each other: they add and
 * write by single instructions.
 */
#include "lib/fast.h"

struct collection {
	struct fast_census census;
	__u64 now;
	__u32 tick;
};

static long collect(void *map, const void *key, struct fast *e, struct collection *c)
{
	if (!*(volatile __u8 *)&e->key.proto)
		return 0;
	settle(e, c->now, c->tick);
	c->census.entries++;
	if (fast_idle(e, c->tick, 0) && begin_way(e)) {
		/* Another collector may have removed it meanwhile. */
		if (*(volatile __u8 *)&e->key.proto && fast_idle(e, c->tick, 0)) {
			e->way.active = 0;
			settle(e, c->now, c->tick);
			fast_move_out(e);
			e->key.taken = 1;
			*(volatile __u8 *)&e->key.proto = 0;
			c->census.removed++;
		}
		end_way(e);
	}
	return 0;
}

SEC("syscall")
int ngfw_collect(struct fast_census *census)
{
	struct collection c = { .now = bpf_ktime_get_boot_ns(), .tick = bpf_ktime_get_ns() >> TICK_SHIFT };

	bpf_for_each_map_elem(&fast_ways, collect, &c, 0);
	*census = c.census;
	return 0;
}

static long doubt(void *map, const void *key, struct flow *f, void *nothing)
{
	*(volatile __u64 *)&f->valid = VALID_OVER;
	return 0;
}

/* What the policy depends on has changed, and the policy's number has not. */
SEC("syscall")
int ngfw_doubt(void *nothing)
{
	bpf_for_each_map_elem(&flows, doubt, 0, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
