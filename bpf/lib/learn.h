/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How the fast path gets to know its ways, and forgets them. Ingress asks for
 * the way of an established flow (ask_way) and notes where its packet came
 * from; egress, where routes, neighbours and translation have done their work
 * on that very packet, writes down where it goes (learn_way).
 */
#ifndef NGFW_LEARN_H
#define NGFW_LEARN_H

#include "rewrite.h"
#include "settled.h"

/* Packets before a flow is worth an entry: most exchanges end sooner. */
#define FAST_AFTER 8
/* Between two attempts to learn a way: some are never learnt. */
#define FAST_RETRY TICKS(200)
#define FAST_SOON TICKS(3)		/* until the agent has spoken to conntrack */

#define PACKET_HOST 0			/* linux/if_packet.h */

/*
 * TCP connections that conntrack shall be liberal with, by their original
 * tuple: it will not see most of their segments. Once it has missed many, it shall
 * forget what it has noted of them. Only the agent can tell it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} fast_asks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);		/* ingress, egress */
	__type(key, __u32);
	__type(value, struct fast);
} fast_work SEC(".maps");

#define FLOW_ENDS (FLOW_FIN_ORIG | FLOW_FIN_REPLY | FLOW_RST | FLOW_CLOSED | FLOW_CUT)

static __always_inline __u32 fast_forms(void)
{
	struct config *c = element(&settings, 0);

	return c ? c->fast : 0;
}

static __always_inline int same_mac(const void *a, const void *b)
{
	const __u16 *x = a, *y = b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

/* The flow ends, or is refused: from now on every packet goes the long way. */
SUBPROGRAM int end_fast(struct flow *f)
{
	struct fast *e;

	if (!f)
		return 0;
	e = fast_of(&f->orig);
	if (e && e->id == f->id)
		*(volatile __u64 *)&e->way.active = 0;
	e = fast_of(&f->reply);
	if (e && e->id == f->id)
		*(volatile __u64 *)&e->way.active = 0;
	return 0;
}

static __always_inline int read_numbers(struct __sk_buff *skb, const struct work *w, __u32 *ack, __u32 *end)
{
	__be32 numbers[2];		/* RFC 9293 3.1: sequence, acknowledgment */

	if (bpf_skb_load_bytes(skb, w->packet.l4 + 4, numbers, sizeof(numbers)))
		return 0;
	*ack = bpf_ntohl(numbers[1]);
	*end = bpf_ntohl(numbers[0]) + w->packet.bytes - w->packet.headers;
	return 1;
}

/* Does conntrack believe any sequence number of the packet's connection? */
SUBPROGRAM int ct_liberal(struct __sk_buff *skb, struct work *w)
{
	struct bpf_ct_opts opts = {};
	struct nf_conn *ct;
	int liberal;

	if (!w)
		return 0;
	ct = ct_find(skb, &w->packet.tuple, &opts);
	if (!ct)
		return 0;
	liberal = is_liberal((void *)ct);
	bpf_ct_release(ct);
	return liberal;
}

/*
 * Conntrack believes whoever ends a connection that it is liberal with, so we
 * look: a FIN or RST is one of the connection's if its number lies between what
 * the other side has acknowledged and what this one has sent. That is noted of both
 * before conntrack is asked to be liberal (learn_way), and kept for as long as it
 * may know the connection (fast_idle), whose record may be another by now.
 *
 * Where nothing is noted, conntrack has taken up a connection of the router's own in
 * its midst: a reset must follow a packet of the other side. Or what was noted went
 * with an older version's tables: then no reset is believed.
 */
SUBPROGRAM int is_end(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	struct fast *own, *other;
	__u32 dir, from, to;
	__be32 seq;

	if (!w || !f)
		return 1;
	if (!ct_liberal(skb, w))
		return 1;
	dir = w->dir & 1;
	own = fast_of(&w->packet.tuple);
	other = fast_of(dir ? &f->orig : &f->reply);
	if (!own || !other)
		return !(w->packet.flags & PKT_RST) ||
		       (f->packets[!dir] && (f->zone_in == ZONE_SELF || f->zone_out == ZONE_SELF));
	if (bpf_skb_load_bytes(skb, w->packet.l4 + 4, &seq, sizeof(seq)))
		return 0;
	from = other->ack;
	to = own->end;
	if ((__s32)(to - from) < 0)
		to = from;
	/* Who knows the ports alone may have sent data of a far number before. */
	if (to - from > IN_FLIGHT)
		to = from + IN_FLIGHT;
	/* Data before a FIN may have been lost on the way here. */
	if (w->packet.flags & PKT_FIN)
		to += 0xffff;
	return bpf_ntohl(seq) - from <= to - from;
}

/*
 * A packet's numbers are far from those before: they count if conntrack sees to the
 * connection's end itself, or if they agree with what the other side has said, which
 * nobody on this side can. Else one guess would have that side's FIN or RST refused.
 */
SUBPROGRAM int weigh_numbers(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	struct fast *own, *other;
	__u32 ack, end;

	if (!w || !f || !read_numbers(skb, w, &ack, &end))
		return 0;
	if (ct_liberal(skb, w)) {
		other = fast_of(w->dir & 1 ? &f->orig : &f->reply);
		if (other && (apart(ack, other->end) | apart(end, other->ack)))
			return 0;
	}
	own = fast_of(&w->packet.tuple);
	if (!own)
		return 0;
	own->ack = ack;
	own->end = end;
	return 0;
}

/* Was e's way learnt, under what stands no longer? */
static __always_inline int was_ended(const struct fast *e)
{
	struct config *c = element(&settings, 0);
	struct fast_watch *watch = element(&fast_watched, 0);
	__u64 under = *(volatile const __u64 *)&e->way.active;

	return under && c && watch && under != standing(c, watch);
}

/*
 * A packet of f goes the long way, and its numbers are noted. If f may go the short
 * one, is established and its packets plain, egress shall note how it leaves.
 * Answers mark bits, or WEIGH_NUMBERS, which the caller does, having more stack.
 */
#define WEIGH_NUMBERS 1			/* no bit of MARK_OURS */

SUBPROGRAM int ask_way(struct __sk_buff *skb, struct work *w, struct flow *f, __u32 may)
{
	struct fast *e, *fresh;
	__u32 now, rx, tcp, ack = 0, end = 0;

	if (!w || !f)
		return 0;
	if (w->packet.tuple.proto != IPPROTO_TCP && w->packet.tuple.proto != IPPROTO_UDP)
		return 0;
	tcp = w->packet.tuple.proto == IPPROTO_TCP;
	/* Of a connection that was taken over something may be noted already. */
	if (f->packets[0] + f->packets[1] < FAST_AFTER && (!tcp || w->packet.flags & PKT_SYN))
		return 0;
	if (tcp && !read_numbers(skb, w, &ack, &end))
		return 0;
	now = tick_now();
	e = fast_of(&w->packet.tuple);
	if (e) {
		settle(e, w->now, now);
		if (tcp) {
			if (far_numbers(e, ack, end))
				return WEIGH_NUMBERS;
			note_numbers(e, ack, end);
		}
		e->last = now;
	}
	if (!may || !fast_forms() || f->packets[0] + f->packets[1] < FAST_AFTER)
		return 0;
	if ((f->flags & (FLOW_REPLY_KNOWN | FLOW_SEEN_REPLY)) != (FLOW_REPLY_KNOWN | FLOW_SEEN_REPLY) ||
	    f->flags & FLOW_ENDS)
		return 0;
	if (f->zone_in <= ZONE_SELF || f->zone_out <= ZONE_SELF || !f->ifindex_in || !f->ifindex_out ||
	    w->port & PORT_L3 || skb->vlan_present || skb->pkt_type != PACKET_HOST || decorated(skb))
		return 0;
	if (e) {
		/* A way that a change has ended is asked for at once, later as any other. */
		if (was_ended(e))
			*(volatile __u64 *)&e->way.active = 0;
		else if (!reached(now, e->asked + FAST_RETRY))
			return 0;
		e->asked = now;
	}
	fresh = element(&fast_work, 0);
	if (!fresh)
		return 0;
	if (bpf_skb_load_bytes(skb, 0, fresh->way.mac_in, ETH_ALEN))
		return 0;
	rx = !!(w->port & PORT_XDP_RX);
	if (!e) {
		fast_key_of(&w->packet.tuple, &fresh->key);
		e = fast_claim(&fresh->key);
		if (!e) {
			add_fast_stat(FAST_STAT_FULL, 1);
			return 0;
		}
		e->way.active = 0;
		e->way.form = 0;
		e->way.until = now;
		e->way.ifindex_in = w->ifindex;
		e->way.rx = rx;
		e->way.dir = w->dir;
		__builtin_memcpy(e->way.mac_in, fresh->way.mac_in, ETH_ALEN);
		e->count = 0;
		e->id = f->id;
		e->decider = f->decider;
		e->ack = ack;
		e->end = end;
		e->due = now;
		e->last = now;
		e->asked = now;
		e->key.src = fresh->key.src;
		e->key.dst = fresh->key.dst;
		e->key.net[0] = fresh->key.net[0];
		e->key.net[1] = fresh->key.net[1];
		*(volatile __u64 *)&e->key.sport = *(const __u64 *)&fresh->key.sport;
		end_way(e);
		return MARK_LEARN;
	}
	/* Another flow, another judge, or from another port: egress begins anew. */
	if (e->id != f->id || e->decider != f->decider || e->way.dir != w->dir ||
	    e->way.ifindex_in != w->ifindex || e->way.rx != rx ||
	    !same_mac(e->way.mac_in, fresh->way.mac_in)) {
		if (!begin_way(e))
			return 0;
		e->way.active = 0;
		e->way.ifindex_in = w->ifindex;
		e->way.rx = rx;
		__builtin_memcpy(e->way.mac_in, fresh->way.mac_in, ETH_ALEN);
		e->id = f->id;
		e->decider = f->decider;
		e->way.dir = w->dir;
		end_way(e);
	}
	return MARK_LEARN;
}

/* What replacing one word by another adds to a checksum (RFC 1624). */
static __always_inline __u32 difference(__be32 from, __be32 to)
{
	from = ~from;
	return (from & 0xffff) + (from >> 16) + (to & 0xffff) + (to >> 16);
}

/* IPv6 that arrived as in leaves as out. */
static __always_inline void learn_nat6(struct fast_nat6 *nat, const struct tuple *in, const struct tuple *out)
{
	const __be32 *from = (const __be32 *)in->saddr, *to = (const __be32 *)out->saddr;
	__u32 sum = 0;

	for (int i = 0; i < 8; i++)
		sum += difference(from[i], to[i]);
	__builtin_memcpy(nat->saddr, out->saddr, sizeof(nat->saddr) + sizeof(nat->daddr));
	nat->sport = out->sport;
	nat->dport = out->dport;
	nat->address_sum = fold(sum);
	nat->port_sum = fold(difference((__u32)in->sport << 16 | in->dport, (__u32)out->sport << 16 | out->dport));
}

/* Ticks until the verdict on f may be another, at most so many. */
static __always_inline __u32 short_of_edge(const struct flow *f, __u32 ticks)
{
	__u64 valid = *(volatile __u64 *)&f->valid, ns, end = (valid >> 32) * SECOND;

	if (!valid || valid == VALID_UNSET || !wall_clock(&ns))
		return ticks;
	if (end <= ns)
		return 0;
	return (end - ns) >> TICK_SHIFT < ticks ? (end - ns) >> TICK_SHIFT : ticks;
}

/* A side that is heard this shortly before is there, and acknowledges. */
#define HEARD TICKS(60000)

/*
 * Conntrack forgets a connection soon of which it has seen data and no acknowledgment,
 * but that may have gone the short way: if the other side was heard on it, the
 * connection is kept as one that is at rest (RFC 5382, REQ-5).
 */
SUBPROGRAM int ct_keep(struct __sk_buff *skb, const struct flow *f, const struct fast *other)
{
	struct fast_watch *watch = element(&fast_watched, 0);
	struct bpf_ct_opts opts = {};
	struct nf_conn *ct;

	if (!f || !other || !watch || !watch->rest || reached(tick_now(), other->last + HEARD))
		return 0;
	ct = ct_find(skb, &f->orig, &opts);
	if (!ct)
		return 0;
	bpf_ct_change_timeout(ct, watch->rest * 1000);
	bpf_ct_release(ct);
	return 0;
}

/* The packet that ask_way asked about leaves here: note how. w->orig is conntrack's. */
SUBPROGRAM int learn_way(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	struct config *c = element(&settings, 0);
	struct fast *fresh = element(&fast_work, 1), *e, *other;
	struct tuple *in;
	struct fast_watch *watch = element(&fast_watched, 0);
	struct fast_way *way;
	struct fast_nat *nat, *old;
	struct fast_nat6 *nat6 = 0;
	__u32 dir = 0, mtu, now, due = FAST_DUE;
	__u64 active, stands;

	if (!w || !f || !c || !fresh || !watch)
		return 0;
	/* It leaves as the opposite of what answers it. */
	reverse(&w->tuple, &f->reply);
	if (!same_tuple(&w->tuple, &w->packet.tuple)) {
		reverse(&w->tuple, &f->orig);
		if (!same_tuple(&w->tuple, &w->packet.tuple))
			return 0;
		dir = 1;
	}
	active = *(volatile __u64 *)&c->active;
	stands = standing(c, watch);
	if (w->port & PORT_L3 || skb->vlan_present || f->revision != active >> ACTIVE_SHIFT ||
	    f->flags & FLOW_ENDS)
		return 0;
	in = dir ? &f->reply : &f->orig;
	e = fast_of(in);
	if (!e || e->id != f->id)
		return 0;
	switch (ct_settled(skb, w->packet.tuple.proto)) {
	case CT_UNSETTLED:
		return 0;
	case CT_STRICT:
		other = fast_of(dir ? &f->orig : &f->reply);
		if (other && other->id == f->id)	/* see is_end */
			bpf_ringbuf_output(&fast_asks, &f->orig, sizeof(f->orig), 0);
		e->asked = tick_now() - FAST_RETRY + FAST_SOON;
		return 0;
	}
	if (w->packet.tuple.proto == IPPROTO_TCP) {
		if (ct_behind(skb, dir, e->ack))
			bpf_ringbuf_output(&fast_asks, &f->orig, sizeof(f->orig), 0);
		if (ct_waits(skb))
			ct_keep(skb, f, fast_of(dir ? &f->orig : &f->reply));
	}
	mtu = mtu_of(skb);
	if (!mtu)
		return 0;
	way = &fresh->way;
	nat = (struct fast_nat *)fresh->key.net;
	way->form = 0;
	if (c->fast & FAST_XDP && e->way.rx && w->port & PORT_XDP_TX && unshaped(skb))
		way->form = FAST_XDP;
	else if (c->fast & FAST_TC)
		way->form = FAST_TC;
	if (!way->form || bpf_skb_load_bytes(skb, 0, way->macs, sizeof(way->macs)) || way->macs[0] & 1)
		return 0;
	way->mtu = mtu > 0xffff ? 0xffff : mtu;
	way->ifindex_out = w->ifindex;
	way->zone = w->zone;
	if (same_tuple(in, &w->packet.tuple)) {
		/* as it came */
	} else if (!(w->packet.flags & PKT_V6)) {
		const __be32 *from = (const __be32 *)in->saddr, *to = (const __be32 *)w->packet.tuple.saddr;

		way->form |= FAST_REWRITE;
		nat->saddr = to[3];
		nat->daddr = to[7];
		nat->sport = w->packet.tuple.sport;
		nat->dport = w->packet.tuple.dport;
		nat->address_sum = fold(difference(from[3], to[3]) + difference(from[7], to[7]));
		nat->port_sum = fold(difference((__u32)in->sport << 16 | in->dport,
						(__u32)nat->sport << 16 | nat->dport));
	} else {
		way->form |= FAST_REWRITE;
		nat6 = nat6_of(e);
		if (!nat6)
			return 0;
	}
	now = tick_now();
	if (!alone(watch, now) && ct_lasts(skb, watch)) {
		way->form |= FAST_WATCHED;
		due = FAST_DUE_WATCHED - bpf_get_prandom_u32() % FAST_SPREAD;
	}
	if (!begin_way(e))
		return 0;
	if (!e->way.active)
		add_fast_stat(FAST_STAT_LEARNED, 1);
	__builtin_memcpy(e->way.macs, way->macs, sizeof(way->macs));
	e->way.mtu = way->mtu;
	e->way.ifindex_out = way->ifindex_out;
	e->way.zone = way->zone;
	e->way.form = way->form;
	if (nat6) {
		learn_nat6(nat6, in, &w->packet.tuple);
	} else if (way->form & FAST_REWRITE) {
		old = (struct fast_nat *)e->key.net;
		old->saddr = nat->saddr;
		old->daddr = nat->daddr;
		old->sport = nat->sport;
		old->dport = nat->dport;
		old->address_sum = nat->address_sum;
		old->port_sum = nat->port_sum;
	}
	e->way.until = now + short_of_edge(f, due + FAST_GRACE);
	*(volatile __u32 *)&e->due = now + due;
	/* Cut or closed meanwhile on another CPU: that came first. */
	*(volatile __u64 *)&e->way.active = *(volatile __u32 *)&f->flags & FLOW_ENDS ? 0 : stands;
	end_way(e);
	if (*(volatile __u32 *)&f->flags & FLOW_ENDS)
		*(volatile __u64 *)&e->way.active = 0;
	return 0;
}

#endif
