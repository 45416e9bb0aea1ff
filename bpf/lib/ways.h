/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The table of the fast path's ways: an entry for each direction of a flow, under
 * the tuple that its packets arrive with, and how long it holds.
 */
#ifndef NGFW_WAYS_H
#define NGFW_WAYS_H

#include "../abi/fast.h"
#include "flow.h"

/*
 * A hash table of our own, since the kernel's costs a cache line for the bucket
 * before the one of the entry is known. An entry stands at its hash or in one of
 * the places behind; where all are taken, the flow goes the long way. Mappable,
 * because its elements then begin at a page. The agent makes it a power of two.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 262144);
	__type(key, __u32);
	__type(value, struct fast);
} fast_ways SEC(".maps");

/*
 * What IPv6 is translated to has no room in its entry, whose addresses fill it: it
 * lies here, at the entry's number, and costs its own packets a look more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 262144);
	__type(key, __u32);
	__type(value, struct fast_nat6);
} fast_nats6 SEC(".maps");

#define FAST_PLACES 8

/* FAST_HOMES places a word: small enough to stay near the processor, while of the
 * entries each is far away. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 262144 / FAST_HOMES);
	__type(key, __u32);
	__type(value, __u64);
} fast_homes SEC(".maps");

/* Ticks of 2^20 ns: one shift of the coarse clock, exact to a timer interrupt. */
#define TICK_SHIFT 20
#define TICKS(ms) ((__u32)((ms) * 1000000ULL >> TICK_SHIFT))
#define FAST_DUE TICKS(1000)	/* from one packet that goes the long way to the next */
#define FAST_GRACE TICKS(250)	/* from then to the way's end, if nothing renews it */
/* The same while changes are told of: less a random part, since flows that are
 * learnt together shall not be renewed together. A power of two. */
#define FAST_DUE_WATCHED TICKS(5000)
#define FAST_SPREAD 1024
/* Conntrack's own timeout, s: below this it is kept each second. */
#define FAST_LASTING 15

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fast_watch);
} fast_watched SEC(".maps");

static __always_inline __u32 tick_now(void)
{
	return bpf_ktime_get_coarse_ns() >> TICK_SHIFT;
}

/* What a way holds under: the active image, and above its number the epoch and
 * the changes that the agent has told of, which only grow. */
static __always_inline __u64 standing(const struct config *c, const struct fast_watch *w)
{
	__u64 active = *(volatile const __u64 *)&c->active;
	__u64 epoch = *(volatile const __u32 *)&c->epoch + *(volatile const __u32 *)&w->changes;

	return active ? active ^ epoch << 48 : 0;
}

/* Ticks wrap round after 52 days. */
static __always_inline int reached(__u32 now, __u32 then)
{
	return (__s32)(now - then) >= 0;
}

/* 1 if nobody watches what ways depend on. Without a branch, of which there are enough. */
static __always_inline __u32 alone(const struct fast_watch *w, __u32 now)
{
	return ~(now - *(volatile const __u32 *)&w->until) >> 31;
}

/* A tuple as an entry's key. */
static __always_inline void fast_key_of(const struct tuple *t, struct fast_key *k)
{
	const __u64 *w = (const __u64 *)t;

	k->src = w[1];
	k->dst = w[3];
	*(__u64 *)&k->sport = w[4];
	k->v4 = is_v4(t->saddr);
	k->net[0] = w[0];
	k->net[1] = w[2];
}

/* Where k's entry would stand. Seeded, so that nobody can choose his neighbours. */
static __always_inline __u32 fast_place(const struct fast_key *k)
{
	const struct config *c = element(&settings, 0);
	__u64 h = c ? c->clock_base : 0;

	h = (h ^ k->src ^ k->net[0]) * 0x9e3779b97f4a7c15ULL;	/* odd numbers of many bits */
	h = ((h ^ h >> 32) + k->dst + k->net[1]) * 0xc2b2ae3d27d4eb4fULL;
	h = ((h ^ h >> 32) ^ *(const __u64 *)&k->sport) * 0x9e3779b97f4a7c15ULL;
	return h >> 32;
}

static __always_inline struct fast *fast_at(__u32 place)
{
	place &= ((struct bpf_map *)&fast_ways)->max_entries - 1;
	return bpf_map_lookup_elem(&fast_ways, &place);
}

/* Behind e's number, which its address tells. */
static __always_inline struct fast_nat6 *nat6_of(const struct fast *e)
{
	struct fast *first = fast_at(0);
	__u32 place;

	if (!first)
		return 0;
	place = e - first;
	return bpf_map_lookup_elem(&fast_nats6, &place);
}

/* One entry of this place more, or less. */
static __always_inline void fast_settle_in(__u32 place, int less)
{
	__u64 *word, one;

	place &= ((struct bpf_map *)&fast_ways)->max_entries - 1;
	one = 1ULL << (place % FAST_HOMES * (64 / FAST_HOMES));
	word = element(&fast_homes, place / FAST_HOMES);
	if (word)
		atomic_add(word, less ? -one : one);
}

/* Has an entry this place for its first? */
static __always_inline int fast_home(__u32 place)
{
	__u64 *word;

	place &= ((struct bpf_map *)&fast_ways)->max_entries - 1;
	word = element(&fast_homes, place / FAST_HOMES);
	return word && *(volatile __u64 *)word >> (place % FAST_HOMES * (64 / FAST_HOMES)) & 0xf;
}

static __always_inline int same_key(const struct fast_key *a, const struct fast_key *b)
{
	return *(const __u64 *)&a->sport == *(const __u64 *)&b->sport && a->src == b->src && a->dst == b->dst &&
	       (b->v4 || (a->net[0] == b->net[0] && a->net[1] == b->net[1]));
}

/* The entry of k; *seq is its way's from before it was found to be k's. */
static __always_inline struct fast *fast_find(const struct fast_key *k, __u32 *seq)
{
	__u32 place = fast_place(k);
	__u64 word;

	/* A branch, which is foreseen: the entry is on its way before this is known. If
	 * its place were computed from it, each packet would wait twice. */
	if (!fast_home(place))
		return 0;
	for (int i = 0; i < FAST_PLACES; i++) {
		struct fast *e = fast_at(place + i);

		if (!e)
			return 0;
		/* One look suffices for another's; behind a place that was never taken is nothing. */
		word = *(volatile __u64 *)&e->key.sport;
		if (!word)
			return 0;
		if (word != *(const __u64 *)&k->sport)
			continue;
		*seq = *(volatile __u32 *)&e->way.seq;
		if (same_key(&e->key, k))
			return e;
	}
	return 0;
}

static __always_inline struct fast *fast_of(const struct tuple *t)
{
	struct fast_key k;
	__u32 seq;

	fast_key_of(t, &k);
	return fast_find(&k, &seq);
}

/* Only one CPU writes a way at a time; the others leave it to that one. */
static __always_inline int begin_way(struct fast *e)
{
	__u32 seq = *(volatile __u32 *)&e->way.seq;

	return !(seq & 1) && __sync_val_compare_and_swap(&e->way.seq, seq, seq + 1) == seq;
}

static __always_inline void end_way(struct fast *e)
{
	__sync_fetch_and_add(&e->way.seq, 1);
}

/* An entry's place is given up: nobody finds it any more. */
static __always_inline void fast_move_out(struct fast *e)
{
	struct fast_key k = e->key;

	if (k.v4)
		k.net[0] = k.net[1] = 0;	/* struct fast_nat */
	fast_settle_in(fast_place(&k), 1);
}

/* How long an entry is left alone behind its end: whoever still counts is done. */
#define FAST_REMOVE TICKS(3000)
/* Conntrack's own timeout of established connections (nf_conntrack-sysctl). */
#define FAST_KEPT TICKS(5 * 86400 * 1000ULL)

/*
 * Is e over at this tick, and nobody's? By that of a TCP connection which has not
 * ended its end is judged (is_end), also when its record is gone, for as long as
 * conntrack may know it; unless its place is needed.
 */
static __always_inline int fast_idle(struct fast *e, __u32 tick, int needed)
{
	__u32 until = e->way.until;
	__u64 id = e->id;

	if (!reached(tick, until + FAST_REMOVE))
		return 0;
	if (e->key.proto != IPPROTO_TCP)
		return 1;
	return (needed || !e->way.active || reached(tick, until + FAST_KEPT)) && !flow_by(id);
}

/* A free place for k, begun to be written; 0: all are taken. */
static __always_inline struct fast *fast_claim(const struct fast_key *k)
{
	__u32 place = fast_place(k), tick = tick_now();

	for (int i = 0; i < FAST_PLACES; i++) {
		struct fast *e = fast_at(place + i);

		if (!e)
			return 0;
		if (*(volatile __u8 *)&e->key.proto || !begin_way(e))
			continue;
		if (!*(volatile __u8 *)&e->key.proto) {
			fast_settle_in(place, 0);
			return e;
		}
		end_way(e);
	}
	for (int i = 0; i < FAST_PLACES; i++) {
		struct fast *e = fast_at(place + i);

		if (!e)
			return 0;
		if (e->key.proto != IPPROTO_TCP || !fast_idle(e, tick, 1) || !begin_way(e))
			continue;
		if (e->key.proto == IPPROTO_TCP && fast_idle(e, tick, 1)) {
			e->way.active = 0;
			fast_move_out(e);
			fast_settle_in(place, 0);
			return e;
		}
		end_way(e);
	}
	return 0;
}

#endif
