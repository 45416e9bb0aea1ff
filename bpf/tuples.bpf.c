// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The Go side's hands in the table of tuples, by BPF_PROG_TEST_RUN: so that hash and
 * places are written down once.
 */
#include "lib/tuples.h"

/* Which flow does the tuple lead to? Answers its id, and the tuple's direction. */
SEC("syscall")
int ngfw_led(struct tuple_led *x)
{
	struct tuple t = x->tuple;
	__u32 dir = 0;
	struct flow *f = find_flow(&t, &dir);

	x->id = f ? f->id : 0;
	x->dir = dir;
	return 0;
}

/* The tuple leads to a flow, which has it. */
SEC("syscall")
int ngfw_lead(struct tuple_led *x)
{
	struct tuple t = x->tuple;

	return !lead(&t, x->id);
}

/* A flow is over: it and what leads to it are removed. */
SEC("syscall")
int ngfw_forget(struct tuple_led *x)
{
	__u64 id = x->id;
	struct flow *f = bpf_map_lookup_elem(&flows, &id);

	if (!f)
		return 0;
	lead_away(&f->orig, id);
	lead_away(&f->reply, id);
	bpf_map_delete_elem(&flows, &id);
	return 0;
}

char _license[] SEC("license") = "GPL";
