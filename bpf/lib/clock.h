/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Time as schedules see it. The kernel's TAI clock follows every step of the
 * clock; what it is ahead of UTC, and whether the clock can be believed at all,
 * the agent writes to the settings. policy.Image.Clock is the twin of read_clock.
 */
#ifndef NGFW_CLOCK_H
#define NGFW_CLOCK_H

#include "maps.h"

/* What a clock can show; see clockFirst in policy/clock.go. */
#define CLOCK_FIRST (1ULL << 20)
#define CLOCK_LAST 4102444799ULL
#define SECONDS_OF_WEEK (7 * 86400)
#define MINUTES_OF_WEEK (7 * 1440)
#define MAX_OFFSETS 512

#define NANOSECONDS 1000000000ULL

/* Unix seconds, 0: no time that can be believed. *ns is the same in nanoseconds. */
static __always_inline __u64 wall_clock(__u64 *ns)
{
	struct config *c = element(&settings, 0);
	__u64 now;

	*ns = 0;
	if (!c || !c->clock_set)
		return 0;
	now = bpf_ktime_get_tai_ns() - (__s64)c->tai_ahead * (__s64)NANOSECONDS;
	if (now < CLOCK_FIRST * NANOSECONDS || now >= (CLOCK_LAST + 1) * NANOSECONDS)
		return 0;
	*ns = now;
	return now / NANOSECONDS;
}

/* 1 where a < b, both below 2^63; arithmetic to compiler and verifier alike. */
static __always_inline __u64 less(__u64 a, __u64 b)
{
	__u64 difference = a - b;

	asm("" : "+r"(difference));
	return difference >> 63;
}

#define NOT_THERE (~0U)

/* A sorted list in lines: which, where it begins, how many it has, of which form. */
struct list {
	void *lines;
	__u32 first, count;
	__u32 words;			/* of an element: 1, or 2 with the lower bits first */
	__u32 pairs;			/* of elements of two words only the first counts */
};

static __always_inline int element_at(const struct list *l, __u32 i, __u64 *value)
{
	__u32 line = l->first + i * l->words / 16, at = i * l->words % 16;
	struct line *found = bpf_map_lookup_elem(l->lines, &line);

	if (!found)
		return 0;
	*value = found->word[at];
	if (l->words == 2 && !l->pairs)
		*value |= (__u64)found->word[(at + 1) % 16] << 32;
	return 1;
}

/*
 * How many elements are below a limit; the list has less than twice as many as
 * the greatest step. Without branches: the verifier walks it once, and not every
 * way that a search may take.
 */
static __always_inline __u32 rank(const struct list *l, __u32 greatest, __u64 limit)
{
	__u32 rank = 0;

	for (__u32 step = greatest; step; step >>= 1) {
		__u64 at = (__u64)rank + step - 1, inside = less(at, l->count), value;

		at &= -inside;
		if (!element_at(l, at, &value))
			return NOT_THERE;
		rank += step & -(__u32)(inside & less(value, limit));
	}
	return rank;
}

/* q->search.local, the minute of the week, and q->valid, at q->now. */
__attribute__((noinline)) int read_clock(struct question *q)
{
	struct list offsets = { .words = 2, .pairs = 1 }, ahead = { .words = 1 }, edges = { .words = 1 };
	struct image *meta = 0;
	__u32 at, minute, second, next, before;
	__u64 first, last, from, value, ns;
	void *lines;

	if (!q)
		return 0;
	q->search.local = LOCAL_NONE;
	q->valid = VALID_UNSET;
	if (q->now == NOW_CLOCK)
		q->now = wall_clock(&ns);
	if (!q->now)
		return 0;
	lines = element(&image_meta, q->slot);
	if (lines)
		meta = element(lines, 0);
	lines = element(&image_lines, q->slot);
	if (!meta || !lines || !meta->offset_count || !meta->edge_count)
		goto torn;
	offsets.lines = ahead.lines = edges.lines = lines;
	offsets.first = ahead.first = meta->offsets;
	offsets.count = meta->offset_count;
	edges.first = meta->edges;
	edges.count = meta->edge_count;
	at = rank(&offsets, MAX_OFFSETS, q->now + 1) - 1;	/* the last that is not after now */
	if (!element_at(&offsets, at, &from) || !element_at(&ahead, 2 * at + 1, &value))
		goto torn;
	first = from;
	last = CLOCK_LAST + 1;
	if (at + 1 < offsets.count && !element_at(&offsets, at + 1, &last))
		goto torn;
	/* 1 January 1970 was a Thursday. */
	at = (q->now + (__s32)value + 4 * 86400) % SECONDS_OF_WEEK;
	minute = at / 60;
	second = at % 60;
	at = rank(&edges, 8192, minute + 1);		/* the first edge after minute */
	if (at == NOT_THERE)
		goto torn;
	if (!element_at(&edges, at < edges.count ? at : 0, &value))
		goto torn;
	next = at < edges.count ? value : value + MINUTES_OF_WEEK;
	if (!element_at(&edges, at ? at - 1 : edges.count - 1, &value))
		goto torn;
	before = at ? value + MINUTES_OF_WEEK : value;
	ns = q->now - second - 60 * ((__u64)minute + MINUTES_OF_WEEK - before);
	if (first < ns)
		first = ns;
	ns = q->now - second + 60 * (__u64)(next - minute);
	if (last > ns)
		last = ns;
	q->search.local = minute;
	q->valid = (first & 0xffffffff) | last << 32;
	return 0;
torn:
	q->search.torn = 1;
	return 0;
}

#endif
