/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which flow a packet's tuple leads to.
 *
 * A hash table of our own. The kernel's is asked for a bucket, then for its elements,
 * and takes a lock and a free element to add one: four places in memory, one after
 * the other, and a new flow does all of it three times. Here a tuple's hash is the
 * number of a cache line with the ids of up to TUPLE_PLACES flows, and to find that a
 * tuple is not there has fetched the line that it is then written to. The tuples
 * themselves stand in the flows.
 *
 * Every change is one compare-and-swap of an id. Two processors that add the same
 * tuple at once may both find a place: the first of the two leads on, the other goes
 * with its flow.
 */
#ifndef NGFW_TUPLES_H
#define NGFW_TUPLES_H

#include "conntrack.h"
#include "table.h"

/* Mappable, because its elements then begin at a page: a line is a cache line. The
 * agent makes it a power of two, and a line for each flow that there may be. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 131072);
	__type(key, __u32);
	__type(value, struct tuple_line);
} tuples SEC(".maps");

/*
 * Where a tuple is looked for at most. With two tuples to a line when all flows are
 * there, a full home happens once in sixty, and eight full lines once in millions.
 */
#define TUPLE_LINES 8

#define LED_BY_REPLY (1ULL << 63)	/* beside an id, whose nanoseconds come so far in 2116 */

/* In the manner of the finalizer of MurmurHash3. */
static __always_inline __u64 scatter(__u64 x)
{
	x = (x ^ x >> 32) * 0x9e3779b97f4a7c15ULL;
	x = (x ^ x >> 29) * 0xc2b2ae3d27d4eb4fULL;
	return x ^ x >> 32;
}

/*
 * Its upper half is the line, its lower half the tag. By a secret, and each word
 * scattered by itself before it meets the others: nobody can choose tuples that
 * differ in two words and come to the same line, where he would crowd others out.
 */
static __always_inline __u64 tuple_hash(const struct tuple *t)
{
	const struct config *c = element(&settings, 0);
	const __u64 *w = (const __u64 *)t;
	__u64 secret = c ? c->secret : 0, h = 0;

	for (int i = 0; i < 5; i++)
		h += scatter(w[i] ^ (secret + i * 0x9e3779b97f4a7c15ULL));
	return scatter(h);
}

static __always_inline struct tuple_line *tuple_line(__u32 number)
{
	number &= ((struct bpf_map *)&tuples)->max_entries - 1;
	return bpf_map_lookup_elem(&tuples, &number);
}

/* Is there a flow with this id, and t one of its tuples? Which one is dir. */
static __always_inline int led_to(__u64 id, const struct tuple *t, __u32 *dir)
{
	struct flow *f = flow_by(id);

	if (!f)
		return 0;
	*dir = !same_tuple(&f->orig, t);
	return !*dir || same_tuple(&f->reply, t);
}

/* Where t leads: the id, and LED_BY_REPLY; 0: nowhere. */
SUBPROGRAM __u64 led(const struct tuple *t)
{
	__u64 hash;

	if (!t)
		return 0;
	hash = tuple_hash(t);
	for (int n = 0; n < TUPLE_LINES; n++) {
		struct tuple_line *l = tuple_line((hash >> 32) + n);
		__u32 dir;
		__u64 id;

		if (!l)
			return 0;
		for (int i = 0; i < TUPLE_PLACES; i++) {
			if (*(volatile __u32 *)&l->tag[i] != (__u32)hash)
				continue;
			id = *(volatile __u64 *)&l->id[i];
			if (id && led_to(id, t, &dir))
				return id | (dir ? LED_BY_REPLY : 0);
		}
		if (!n && !*(volatile __u32 *)&l->elsewhere)
			return 0;
	}
	return 0;
}

/* The flow that a tuple leads to, and the tuple's direction in it. */
static __always_inline struct flow *find_flow(const struct tuple *t, __u32 *dir)
{
	__u64 id = led(t);

	if (!id)
		return 0;
	*dir = id >> 63;
	return flow_by(id & ~LED_BY_REPLY);
}

/* A place of l for id, if it is still was's. home is not 0 where l is not the tuple's
 * own line: that one counts those, before anybody can look for one. */
static __always_inline int take_place(struct tuple_line *l, struct tuple_line *home, int i, __u64 was, __u64 id, __u32 tag)
{
	if (home)
		__sync_fetch_and_add(&home->elsewhere, 1);
	if (__sync_val_compare_and_swap(&l->id[i], was, id) == was) {
		*(volatile __u32 *)&l->tag[i] = tag;
		return 1;
	}
	if (home)
		__sync_fetch_and_add(&home->elsewhere, -1);
	return 0;
}

/* The flow of a tuple that has a place is exchanged. */
static __always_inline int lead_over(const struct tuple *t, __u64 hash, __u64 id)
{
	for (int n = 0; n < TUPLE_LINES; n++) {
		struct tuple_line *l = tuple_line((hash >> 32) + n);
		__u32 dir;
		__u64 was;

		if (!l)
			return 0;
		for (int i = 0; i < TUPLE_PLACES; i++) {
			if (*(volatile __u32 *)&l->tag[i] != (__u32)hash)
				continue;
			was = *(volatile __u64 *)&l->id[i];
			if (was && led_to(was, t, &dir) && __sync_val_compare_and_swap(&l->id[i], was, id) == was)
				return 1;
		}
		if (!n && !*(volatile __u32 *)&l->elsewhere)
			return 0;
	}
	return 0;
}

/*
 * A place for it, of those that are free; or, stale, of a flow that is gone: one that
 * ended while its answer's tuple was written leaves it. Whose home counts that one is
 * not known: it looks further than it need.
 */
static __always_inline int lead_anew(__u64 hash, __u64 id, int stale)
{
	struct tuple_line *home = 0;

	for (int n = 0; n < TUPLE_LINES; n++) {
		struct tuple_line *l = tuple_line((hash >> 32) + n);
		__u64 was;

		if (!l)
			return 0;
		for (int i = 0; i < TUPLE_PLACES; i++) {
			was = *(volatile __u64 *)&l->id[i];
			if (was && (!stale || flow_by(was)))
				continue;
			if (take_place(l, home, i, was, id, hash))
				return 1;
		}
		if (!n)
			home = l;
	}
	return 0;
}

/* From now on t leads to the flow with this id, which has it. 0: all places are taken. */
SUBPROGRAM int lead(const struct tuple *t, __u64 id)
{
	__u64 hash;

	if (!t)
		return 0;
	hash = tuple_hash(t);
	return lead_over(t, hash, id) || lead_anew(hash, id, 0) || lead_anew(hash, id, 1);
}

/* t leads to this flow no more; to another it may. */
SUBPROGRAM int lead_away(const struct tuple *t, __u64 id)
{
	struct tuple_line *home = 0;
	__u64 hash;

	if (!t)
		return 0;
	hash = tuple_hash(t);
	for (int n = 0; n < TUPLE_LINES; n++) {
		struct tuple_line *l = tuple_line((hash >> 32) + n);

		if (!l)
			return 0;
		for (int i = 0; i < TUPLE_PLACES; i++) {
			if (*(volatile __u32 *)&l->tag[i] != (__u32)hash ||
			    __sync_val_compare_and_swap(&l->id[i], id, 0) != id)
				continue;
			if (home)
				__sync_fetch_and_add(&home->elsewhere, -1);
			return 1;
		}
		if (!n && !*(volatile __u32 *)&l->elsewhere)
			return 0;
		if (!n)
			home = l;
	}
	return 0;
}

#endif
