// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * What the classifier costs: it answers the same questions many times in one
 * run. The other modes do all but that, so that the cost of the questions can
 * be subtracted and set against that of a hash table in the same run. Where a
 * question stands depends on the answer before it: the processor cannot work on
 * several at once, and what is measured is one.
 */
#include "lib/classify.h"

#define QUESTIONS 65536

enum mode {
	MODE_QUESTION = 0,		/* read it, and nothing else */
	MODE_HASH = 1,			/* look its index up in a table of 100,000 */
	MODE_JUDGE = 2,
};

struct bench {
	__u32 mode;
	__u32 count;
	__u64 ns;			/* the answer */
	__u64 sum;			/* of what was found, so that nothing is for nothing */
	__u64 next;			/* what the answer adds to the count: 0 */
};

struct asked {
	struct address src, dst;
	__u16 port;
	__u8 proto;
	__u8 v6;
	__u8 zone_in, zone_out;
	__u16 pad;
	__u32 index;			/* in the hash table */
	__u32 pad2;
};

const struct bench *bench_type __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, QUESTIONS);
	__type(key, __u32);
	__type(value, struct asked);
} questions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 100000);
	__type(key, __u64);
	__type(value, __u64);
} hash SEC(".maps");

static long step(__u32 i, void *ctx)
{
	struct work *w = element(&works, WORK_SIMULATE);
	struct bench *b = ctx;
	struct asked *q = element(&questions, (i + b->next) % QUESTIONS);
	__u64 key, *value;

	if (!q || !w)
		return 1;
	w->question.src = q->src;
	w->question.dst = q->dst;
	w->question.port = q->port;
	w->question.proto = q->proto;
	w->question.v6 = q->v6;
	w->question.zone_in = q->zone_in;
	w->question.zone_out = q->zone_out;
	switch (b->mode) {
	case MODE_HASH:
		key = q->index;
		value = bpf_map_lookup_elem(&hash, &key);
		if (!value)
			return 1;
		b->sum += *value + 1;
		b->next = *value;	/* all are 0 */
		break;
	case MODE_JUDGE:
		judge(&w->question);
		b->sum += w->question.verdict.decider + w->question.verdict.action;
		b->next = w->question.verdict.decider >> 31; /* no kind is that high */
		break;
	default:
		b->sum += q->index;
		b->next = q->index >> 31;
	}
	return 0;
}

SEC("syscall")
int ngfw_bench(struct bench *ctx)
{
	struct bench b = { .mode = ctx->mode, .count = ctx->count };
	__u64 from = bpf_ktime_get_ns();

	bpf_loop(b.count, step, &b, 0);
	ctx->ns = bpf_ktime_get_ns() - from;
	ctx->sum = b.sum;
	return 0;
}

char _license[] SEC("license") = "GPL";
