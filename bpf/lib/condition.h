/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What an entry asks beside its box: the time, and the frame's source. Entries
 * without a condition never come here; policy/condition.go says how one is laid
 * out, and descent.holds is its twin.
 */
#ifndef NGFW_CONDITION_H
#define NGFW_CONDITION_H

#include "clock.h"

#define NEXT_ENTRY 0
#define LAST_ENTRY 1			/* those behind cannot be the answer */
#define TORN_ENTRY 2

#define CONDITION_END_SHIFT 11
#define CONDITION_DAYS_SHIFT 22
#define CONDITION_MINUTES 0x7ff
#define CONDITION_SCHEDULED (1u << 29)
#define CONDITION_MACS (1u << 30)
#define CONDITION_NOT_MACS (1u << 31)

static __always_inline int in_window(__u32 flags, __u32 minute_of_week)
{
	__u32 start = flags & CONDITION_MINUTES, end = flags >> CONDITION_END_SHIFT & CONDITION_MINUTES;
	__u32 day = minute_of_week / 1440, minute = minute_of_week % 1440;
	__u32 days = flags >> CONDITION_DAYS_SHIFT & 0x7f;
	__u32 today = days >> (day & 7) & 1, yesterday = days >> ((day + 6) % 7) & 1;

	if (start <= end)
		return today && start <= minute && minute <= end;
	return (today && minute >= start) || (yesterday && minute <= end);
}

/* Is a MAC address in a sorted list? An image has 2^16 in all. */
static __always_inline int has_mac(void *lines, __u32 first, __u32 count, __u64 mac)
{
	struct list macs = { .lines = lines, .first = first, .count = count, .words = 2 };
	__u64 value;
	__u32 at;

	if (!mac)
		return 0;
	at = rank(&macs, 1 << 16, mac);
	return at < count && element_at(&macs, at, &value) && value == mac;
}

/*
 * An entry in whose box the key lies: is it the answer? A global function, so
 * that the verifier takes it once and not for each entry of a leaf.
 */
__attribute__((noinline)) int try_condition(struct question *q, __u32 number, __u32 order)
{
	struct image *meta = 0;
	struct search *s;
	struct line *l;
	void *table, *lines;
	__u32 at, flags, line;

	if (!q)
		return TORN_ENTRY;
	s = &q->search;
	table = element(&image_meta, q->slot);
	if (table)
		meta = element(table, 0);
	lines = element(&image_lines, q->slot);
	if (!meta || !lines || !number)
		return TORN_ENTRY;
	at = (number - 1) % 4 * 4;
	line = meta->conditions + (number - 1) / 4;
	l = bpf_map_lookup_elem(lines, &line);
	if (!l)
		return TORN_ENTRY;
	flags = l->word[(at + 1) % 16];
	if (flags & CONDITION_MACS &&
	    has_mac(lines, l->word[(at + 2) % 16], l->word[(at + 3) % 16], q->mac) == !!(flags & CONDITION_NOT_MACS))
		return NEXT_ENTRY;
	if (flags & CONDITION_SCHEDULED) {
		s->timed = 1;
		if (s->local == LOCAL_NONE) {
			/* Nothing is accepted by a clock that cannot be believed. */
			if ((order & ORDER_ACTION) == ACTION_ACCEPT)
				return NEXT_ENTRY;
		} else if (!in_window(flags, s->local)) {
			return NEXT_ENTRY;
		}
	}
	s->order = order;
	s->decider = l->word[at % 16];
	return LAST_ENTRY;
}

#endif
