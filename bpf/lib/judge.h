/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How a packet gets its verdict: from its flow, from conntrack's knowledge of
 * a flow we do not have, or as the first of a new one.
 *
 * The functions answer TC_NEXT or TC_DROP; known() may also answer UNKNOWN.
 */
#ifndef NGFW_JUDGE_H
#define NGFW_JUDGE_H

#include "flow.h"
#include "inspect.h"
#include "ending.h"
#include "qos.h"
#include "reset.h"
#include "translate.h"

#define TC_NEXT (-1)		/* TCX_NEXT, TC_ACT_UNSPEC: other filters still run */
#define TC_DROP 2		/* TCX_DROP, TC_ACT_SHOT */
#define EINVAL 22
#define UNKNOWN 0		/* no verdict: the packet is a new flow's */

static __always_inline int is_icmp(__u8 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static __always_inline void set_mark(struct __sk_buff *skb, __u32 bits)
{
	__u32 mark;

	/*
	 * The verifier takes accesses to the whole field at a constant offset from
	 * the context alone; left to itself the compiler narrows the store and
	 * keeps a pointer to the field.
	 */
	asm volatile("%[mark] = *(u32 *)(%[skb] + %[at])"
		     : [mark] "=r"(mark)
		     : [skb] "r"(skb), [at] "i"(__builtin_offsetof(struct __sk_buff, mark)));
	mark = (mark & ~MARK_OURS) | bits;
	asm volatile("*(u32 *)(%[skb] + %[at]) = %[mark]"
		     :
		     : [mark] "r"(mark), [skb] "r"(skb), [at] "i"(__builtin_offsetof(struct __sk_buff, mark))
		     : "memory");
}

static __always_inline __u32 mark_zone(__u32 zone)
{
	return zone << MARK_ZONE_SHIFT & MARK_ZONE_MASK;
}

/* The zone that a packet of f in this direction leaves for. */
static __always_inline __u32 far_zone(const struct flow *f, __u32 dir)
{
	return dir ? f->zone_in : f->zone_out;
}

static __always_inline int drop(struct work *w, __u32 reason)
{
	w->reason = reason;
	count(&drops, reason, w->amount, w->now);
	return TC_DROP;
}

struct raw_address {
	__u8 byte[16];
};

/*
 * The kernel's route: bpf_fib_lookup's answer; w->way is the interface. With
 * neighbour, also who is next on it.
 */
SUBPROGRAM int look_up(struct __sk_buff *skb, struct work *w, const struct raw_address *from,
		       const struct raw_address *to, __u32 neighbour)
{
	struct bpf_fib_lookup fib = {};
	const __u8 *src, *dst;
	int rc;

	if (!w || !from || !to)
		return BPF_FIB_LKUP_RET_UNREACHABLE;
	src = from->byte;
	dst = to->byte;
	fib.ifindex = w->ifindex;
	fib.l4_protocol = w->packet.tuple.proto;
	fib.tot_len = 1;	/* fits everywhere: else the kernel looks the interface up to ask it */
	if (is_v4(dst)) {
		fib.family = AF_INET;
		fib.tos = w->packet.tos & 0x1c;	/* what routes may depend on */
		fib.ipv4_src = ((const __be32 *)src)[3];
		fib.ipv4_dst = ((const __be32 *)dst)[3];
	} else {
		fib.family = AF_INET6;
		copy16(fib.ipv6_src, src);
		copy16(fib.ipv6_dst, dst);
	}
	rc = bpf_fib_lookup(skb, &fib, sizeof(fib), neighbour ? 0 : BPF_FIB_LOOKUP_SKIP_NEIGH);
	if (rc == -EINVAL)	/* Linux before 6.3 has no such flag */
		rc = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	w->way = fib.ifindex;
	__builtin_memset(w->neighbour, 0, sizeof(w->neighbour));
	if (neighbour && rc == BPF_FIB_LKUP_RET_SUCCESS)
		__builtin_memcpy(w->neighbour, fib.dmac, ETH_ALEN);
	/* An unresolved neighbour is still a route; so is one that needs fragments. */
	if (rc == BPF_FIB_LKUP_RET_NO_NEIGH || rc == BPF_FIB_LKUP_RET_FRAG_NEEDED ||
	    rc == BPF_FIB_LKUP_RET_UNSUPP_LWT)
		return BPF_FIB_LKUP_RET_SUCCESS;
	return rc;
}

/*
 * Where the kernel would send a packet from src to dst: an interface, or 0 for
 * the router itself, which also answers for what has no route. Broadcast and
 * multicast are for the router: the kernel sees to them before it asks its
 * routes, where a default route would claim them (ip_route_input_slow).
 */
static __always_inline __u32 route(struct __sk_buff *skb, struct work *w, const __u8 *src,
				   const __u8 *dst, __u32 neighbour)
{
	if (is_for_many(dst) ||
	    look_up(skb, w, (const void *)src, (const void *)dst, neighbour) != BPF_FIB_LKUP_RET_SUCCESS)
		return 0;
	return w->way;
}

/*
 * Does the packet's source belong to another zone than it came from? The way
 * back tells (RFC 3704 2.2, by zone and not by interface, so that several ways
 * into one zone may be used unevenly). A source without a way back is forged
 * too, as is the router's own. Who has no address yet or IPv6's of the link is
 * believed; such packets are not forwarded.
 */
SUBPROGRAM int forged(struct __sk_buff *skb, struct work *w)
{
	const __u8 *src;
	long rc;

	if (!w)
		return 1;
	src = w->packet.tuple.saddr;
	if (is_unspecified(src) || is_link_local(src))
		return 0;
	rc = look_up(skb, w, (const void *)w->packet.tuple.daddr, (const void *)src, 0);
	if (rc == BPF_FIB_LKUP_RET_SUCCESS)
		return w->way != w->ifindex && zone_of(w->slot, w->way) != w->zone;
	/* Where nothing is forwarded, the lookup knows no way at all. */
	return rc != BPF_FIB_LKUP_RET_FWD_DISABLED;
}

/* The agent's own connection, so that no policy can cut a router off its cloud. */
static __always_inline int is_cloud(const struct tuple *t)
{
	struct config *c = element(&settings, 0);
	const __u64 *a, *b = (const __u64 *)t->daddr;

	if (!c || !c->cloud_port || t->proto != IPPROTO_TCP || t->dport != c->cloud_port)
		return 0;
	a = (const __u64 *)c->cloud_addr;
	return a[0] == b[0] && a[1] == b[1];
}

static __always_inline void decide(struct work *w, __u32 decider, __u8 action)
{
	w->question.verdict.decider = decider;
	w->question.verdict.action = action;
	w->question.verdict.log = 0;
	w->question.valid = 0;
}

/* Ask the classifier about a flow: original source, translated destination. */
static __always_inline void ask(struct work *w, const struct flow *f, __u32 zone_in, __u32 zone_out)
{
	struct question *q = &w->question;

	pose(w, f);
	if (f->flags & FLOW_DNAT) {
		q->dst = to_address(f->to);
		if (has_ports(q->proto))
			q->port = bpf_ntohs(f->to_port);
		q->nat = w->nat;
	} else if (f->flags & FLOW_REPLY_KNOWN) {
		q->dst = to_address(f->reply.saddr);
		q->port = bpf_ntohs(is_icmp(f->orig.proto) ? f->orig.dport : f->reply.sport);
	}
	q->zone_in = zone_in;
	q->zone_out = zone_out;
	q->now = NOW_CLOCK;
	judge(q);
}

/* The verdict of a flow as a whole: system rules that need more than the classifier sees, zones, policy. */
static __always_inline void decide_flow(struct work *w, const struct flow *f)
{
	if (f->zone_in == ZONE_SELF && is_cloud(&f->orig))
		decide(w, DECIDER(DECIDER_SYSTEM, SYSTEM_CLOUD), ACTION_ACCEPT);
	else if (f->zone_in == ZONE_NONE || f->zone_out == ZONE_NONE)
		decide(w, DECIDER(DECIDER_REASON, REASON_NO_ZONE), ACTION_DROP);
	else
		ask(w, f, f->zone_in, f->zone_out);
}

/* Store w->flow, which is filled but for ids and times, as a new flow. */
static __attribute__((noinline)) struct flow *create(struct work *w)
{
	struct flow_ref ref = {};
	__u64 id = flow_id(w->now);

	w->flow.id = id;
	w->flow.opened = w->now;
	w->flow.seen = w->now;
	w->flow.checked = w->now;
	w->flow.decider = w->question.verdict.decider;
	w->flow.valid = w->question.valid;
	/* Its first packet counts before anybody sees it, which needs no atomics. */
	w->flow.packets[w->dir & 1] = w->amount.packets;
	w->flow.bytes[w->dir & 1] = w->amount.bytes;
	if (w->question.verdict.log)
		w->flow.flags |= FLOW_LOG;
	if (bpf_map_update_elem(&flows, &id, &w->flow, BPF_NOEXIST))
		return 0;
	ref.id = id;
	if (bpf_map_update_elem(&tuples, &w->flow.orig, &ref, BPF_ANY)) {
		bpf_map_delete_elem(&flows, &id);
		return 0;
	}
	count_stat(STAT_FLOWS_OPENED, 1);
	return bpf_map_lookup_elem(&flows, &id);
}

/* A packet of a flow that may pass, and is counted there: say so in its mark. */
static __attribute__((noinline)) int pass(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	__u32 mark = MARK_JUDGED | mark_zone(far_zone(f, w->dir));
	int tcp = w->packet.tuple.proto == IPPROTO_TCP, look = inspect(f);
	__u32 class;

	if (w->dir && !(f->flags & FLOW_SEEN_REPLY))
		__sync_fetch_and_or(&f->flags, FLOW_SEEN_REPLY);
	f->seen = w->now;
	count_decider(f->decider, w->amount, w->now);
	count_nat(f, w->amount, w->now);
	if (tcp && w->packet.flags & (PKT_FIN | PKT_RST)) {
		if (w->zone != ZONE_SELF && far_zone(f, w->dir) != ZONE_SELF)
			mark |= MARK_LEARN;	/* noted where it leaves */
		else if (w->zone == ZONE_SELF || !(w->packet.flags & PKT_RST) || ct_resets(skb, w))
			note_tcp(f, w);
		end_fast(f);
	}
	if (look < 0)	/* counted for its rule all the same */
		return drop(w, REASON_THREAT);
	if (w->dir || (tcp && !(w->packet.flags & PKT_SYN) && f->flags & FLOW_SEEN_REPLY))
		mark |= MARK_REPLY;
	if (!w->dir && !(f->flags & FLOW_REPLY_KNOWN))
		mark |= MARK_LEARN;
	if (!w->dir && f->priority)
		skb->priority = f->priority;
	if (!w->dir && f->flags & FLOW_DNAT) {
		/* An answer's claim of state has no meaning on a first packet. */
		if (f->flags & FLOW_TURN && !(mark & MARK_REPLY))
			mark |= MARK_TURN;
	}
	/* What is shaped takes the long way, as the short one passes by qdiscs; only
	 * its numbers are noted there. What the matcher looks at takes it too. */
	class = qos_class(skb, w, f);
	mark |= mark_class(class);
	if (look)
		mark |= look;
	else
		mark |= ask_way(skb, w, f) & (class ? 0 : MARK_LEARN);
	set_mark(skb, mark);
	return TC_NEXT;
}

/* Counts and tells a packet that w->question.verdict is against. */
static __always_inline void note_refused(struct work *w)
{
	__u32 decider = w->question.verdict.decider;

	w->flow.decider = decider;
	w->reason = decider >> 28 == DECIDER_REASON ? decider & (REASON_MAX - 1) : REASON_POLICY;
	count_decider(decider, w->amount, w->now);
	count(&drops, w->reason, w->amount, w->now);
	refuse(w);
}

/* w->flow is what the packet would open, w->question.verdict why it may not. */
static __attribute__((noinline)) int refused(struct __sk_buff *skb, struct work *w)
{
	note_refused(w);
	/* The backstop answers; never a reset with a reset (RFC 9293 3.5.2). What the
	 * router sends has it behind: an answer in a flow from outside that was cut. */
	if (w->question.verdict.action == ACTION_REJECT && w->zone != ZONE_SELF && w->flow.ifindex_in &&
	    !(w->packet.flags & PKT_RST)) {
		set_mark(skb, MARK_REJECT);
		return TC_NEXT;
	}
	return TC_DROP;
}

static __always_inline int refused_for(struct __sk_buff *skb, struct work *w, __u32 reason)
{
	decide(w, DECIDER(DECIDER_REASON, reason), ACTION_DROP);
	return refused(skb, w);
}

/*
 * The NAT rule whose flow f is by its source, under this policy. A changed one holds
 * for new flows, and f stays its own; of one that is gone it is no more.
 */
static __always_inline __u32 source_rule(struct work *w, const struct flow *f)
{
	if (!(f->flags & FLOW_REPLY_KNOWN) || w->flow.zone_in <= ZONE_SELF || w->flow.zone_out <= ZONE_SELF)
		return 0;
	w->reply = f->reply;
	w->question.verdict.action = 0;		/* what find_source asks is another question */
	return find_source(w, &w->flow, f->ifindex_out) || w->flow.nat[1] == f->nat[1] ? w->flow.nat[1] : 0;
}

/* The NAT rule of f's destination is gone or changed: f and conntrack's entry end. */
static __always_inline int cut_translation(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	decide(w, DECIDER(DECIDER_REASON, REASON_NAT_CHANGED), ACTION_DROP);
	ct_end(skb, &w->packet.tuple);
	if (!(f->flags & FLOW_CUT)) {
		count_stat(STAT_REJUDGED, 1);
		__sync_fetch_and_or(&f->flags, FLOW_CUT | FLOW_CLOSED);
		end_fast(f);
		emit(EVENT_CLOSE, w->now, f);
	}
	return 0;
}

/* Has a schedule that f's verdict depends on begun or ended, or the clock been set? */
static __always_inline int expired(const struct flow *f)
{
	__u64 valid = *(volatile __u64 *)&f->valid, now, ns;

	if (!valid)
		return 0;
	now = wall_clock(&ns);
	if (!now)
		return valid != VALID_UNSET;
	return now < (__u32)valid || now >= valid >> 32;
}

/*
 * The policy changed since f was judged, or the time has come: judge it again by
 * its own tuple, from whichever direction this packet comes. A flow that passes
 * goes on as it is.
 */
SUBPROGRAM int rejudge(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	if (!w || !f)
		return 0;
	__builtin_memcpy(&w->flow, f, sizeof(w->flow));
	w->flow.zone_in = zone_of(w->slot, f->ifindex_in);
	w->flow.zone_out = zone_of(w->slot, f->ifindex_out);
	if (f->flags & FLOW_DNAT) {
		/* The rule that translates it holds still, or one that does the same. */
		switch (find_destination(w, &w->flow)) {
		case 1:
			if (same_destination(f, w->flow.to, w->flow.to_port))
				break;
			/* fall through */
		case 0:
			return cut_translation(skb, w, f);
		default:
			return 0;
		}
		f->nat[0] = w->flow.nat[0];
	}
	tell_source(w, &w->flow);
	decide_flow(w, &w->flow);
	if (!w->question.verdict.action)	/* swapped away under us: the next packet asks again */
		return 0;
	w->flow.revision = w->revision;
	if (w->question.verdict.action != ACTION_ACCEPT) {
		/* The record keeps what let its packets pass, and its old revision: each
		 * further packet is judged again, and refused for itself. */
		if (!(f->flags & FLOW_CUT)) {
			w->cut = 1;
			count_stat(STAT_REJUDGED, 1);
			__sync_fetch_and_or(&f->flags, FLOW_CUT | FLOW_CLOSED);
			end_fast(f);
			emit(EVENT_CLOSE, w->now, f);
		}
		return 0;
	}
	count_stat(STAT_REJUDGED, 1);
	f->decider = w->question.verdict.decider;
	f->priority = w->flow.priority;
	f->zone_in = w->flow.zone_in;
	f->zone_out = w->flow.zone_out;
	f->revision = w->revision;
	f->valid = w->question.valid;
	f->nat[1] = source_rule(w, f);		/* another question: the answers are gone behind it */
	if (f->flags & FLOW_CUT)
		__sync_fetch_and_and(&f->flags, ~FLOW_CUT);
	return 0;
}

/* Does the flow behind the packet still exist for conntrack? */
static __always_inline int vouched(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	__u8 proto = w->packet.tuple.proto;

	if (age(w->now, f->checked) <= VOUCHED)
		return 1;
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP) {
		/* Its first direction may begin again as it is; an answer without a
		 * question is judged for itself. */
		if (!ct_known(skb, w) &&
		    (w->dir || (proto == IPPROTO_TCP && !(w->packet.flags & PKT_SYN))))
			return 0;
	} else if (w->dir && age(w->now, f->seen) > (is_icmp(proto) ? ICMP_IDLE : GENERIC_IDLE)) {
		return 0;
	}
	f->checked = w->now;
	return 1;
}

/* May the packet be the first of a flow? */
static __always_inline int starts(const struct work *w)
{
	return w->packet.tuple.proto != IPPROTO_TCP || w->packet.flags & PKT_SYN;
}

/* A connection that was cut with reject, by the first packet that came after. */
static __always_inline int end_both(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	set_mark(skb, MARK_JUDGED | mark_zone(w->zone));	/* as what goes back leaves */
	switch (reset_both(skb, w)) {
	case 0:
		return refused(skb, w);
	case 1:
		note_refused(w);
		set_mark(skb, MARK_JUDGED | MARK_REPLY | mark_zone(far_zone(f, w->dir)));
		return TC_NEXT;
	default:
		note_refused(w);
		return TC_DROP;
	}
}

/* A packet of f, which is judged under this policy. */
SUBPROGRAM int go_on(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	if (!w || !f)
		return TC_DROP;
	if (f->flags & FLOW_CUT) {
		/* Its own sender may begin anew, as the rules are now. */
		if (w->question.verdict.decider == DECIDER(DECIDER_REASON, REASON_NAT_CHANGED) && !w->dir && starts(w))
			return UNKNOWN;
		if (w->cut && w->question.verdict.action == ACTION_REJECT && w->zone != ZONE_SELF &&
		    w->packet.tuple.proto == IPPROTO_TCP && !(w->packet.flags & PKT_FIRST_FRAGMENT))
			return end_both(skb, w, f);
		return w->question.verdict.action ? refused(skb, w) : drop(w, REASON_NO_IMAGE);
	}
	if (w->zone != (w->dir ? f->zone_out : f->zone_in))
		return drop(w, REASON_WRONG_ZONE);
	if (!vouched(skb, w, f))
		return UNKNOWN;
	if (w->packet.flags & (PKT_FIN | PKT_RST) && !is_end(skb, w, f))
		return drop(w, REASON_NO_STATE);
	count_flow(f, w->dir, w->amount);
	return pass(skb, w, f);
}

/* A packet whose flow f is in the table. One after the other: the stack is small. */
static __always_inline int known(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	/* A port used again is another flow. */
	if (f->flags & FLOW_CLOSED && !(f->flags & FLOW_CUT) && w->packet.flags & PKT_SYN)
		return UNKNOWN;
	w->question.verdict.action = 0;
	w->cut = 0;
	w->path = PATH_KNOWN;
	if (f->revision != w->revision || f->flags & FLOW_CUT || expired(f)) {
		w->path = PATH_KNOWN | PATH_REJUDGED;
		rejudge(skb, w, f);
	}
	return go_on(skb, w, f);
}

/*
 * Conntrack knows the packet's flow (w->orig, reply, dir), we do not: take it
 * over, judged by its own tuple. in and out are its interfaces.
 */
SUBPROGRAM int adopt(struct __sk_buff *skb, struct work *w, __u32 in, __u32 out)
{
	struct flow *f;

	w = of_map(w);
	if (!w)
		return TC_DROP;
	w->path = PATH_ADOPTED;
	f = &w->flow;
	f->orig = w->orig;
	f->reply = w->reply;
	f->ifindex_in = in;
	f->ifindex_out = out;
	f->zone_in = zone_of(w->slot, in);
	f->zone_out = zone_of(w->slot, out);
	f->flags = FLOW_REPLY_KNOWN;
	reverse(&w->tuple, &w->orig);
	if (!same_tuple(&w->tuple, &w->reply))
		f->flags |= FLOW_NAT;
	/* Is it a NAT rule's? What others translate goes by its tuples alone. */
	if (find_destination(w, f) == 1) {
		if (same_destination(f, w->reply.saddr, w->reply.sport)) {
			if (w->nat.flags & NAT_HAIRPIN && f->zone_in == f->zone_out)
				f->flags |= FLOW_TURN;
		} else {
			f->flags &= ~FLOW_DNAT;
			f->nat[0] = 0;
		}
	}
	if (f->zone_in > ZONE_SELF && f->zone_out > ZONE_SELF && !find_source(w, f, out))
		f->nat[1] = 0;
	tell_source(w, f);
	decide_flow(w, f);
	if (!w->question.verdict.action)
		return drop(w, REASON_NO_IMAGE);
	if (w->question.verdict.action != ACTION_ACCEPT)
		return refused(skb, w);
	if (w->zone != ZONE_SELF && forged(skb, w))
		return refused_for(skb, w, REASON_FORGED);
	/* The record is gone, and with it what would show that it is no guess. */
	if (w->packet.flags & PKT_RST && ct_liberal(skb, w))
		return refused_for(skb, w, REASON_NO_STATE);
	if (w->closing) {
		/* The tail of a connection whose end has been told. */
		count_decider(w->question.verdict.decider, w->amount, w->now);
		set_mark(skb, MARK_JUDGED | MARK_REPLY | mark_zone(far_zone(f, w->dir)));
		return TC_NEXT;
	}
	f = create(w);
	if (!f)
		return drop(w, REASON_FLOW_TABLE_FULL);
	count_stat(STAT_ADOPTED, 1);
	learn_reply(f, &w->reply);
	announce(f, w->now);
	return pass(skb, w, f);
}

/*
 * Signalling is no flow: every message stands for itself. Nor is a lease: any
 * zone may send one, and must not be able to fill the table by it.
 */
static __always_inline int signalling(__u32 decider)
{
	return decider == DECIDER(DECIDER_SYSTEM, SYSTEM_NEIGHBOUR_DISCOVERY) ||
	       decider == DECIDER(DECIDER_SYSTEM, SYSTEM_MLD) ||
	       decider == DECIDER(DECIDER_SYSTEM, SYSTEM_DHCP_CLIENT);
}

/* The first packet of a new flow; w->flow has its tuple, interfaces and zones. */
SUBPROGRAM int begin(struct __sk_buff *skb, struct work *w)
{
	struct flow *f;

	w = of_map(w);
	if (!w)
		return TC_DROP;
	w->path = PATH_NEW;
	if (w->packet.tuple.proto == IPPROTO_TCP && !(w->packet.flags & PKT_SYN))
		return refused_for(skb, w, w->flow.zone_in ? REASON_NO_STATE : REASON_NO_ZONE);
	tell_source(w, &w->flow);
	decide_flow(w, &w->flow);
	if (!w->question.verdict.action)
		return drop(w, REASON_NO_IMAGE);
	if (w->question.verdict.action != ACTION_ACCEPT)
		return refused(skb, w);
	w->dir = 0;
	if (signalling(w->question.verdict.decider)) {
		count_decider(w->question.verdict.decider, w->amount, w->now);
		set_mark(skb, MARK_JUDGED | mark_zone(w->flow.zone_out));
		return TC_NEXT;
	}
	if (w->flow.zone_in != ZONE_SELF && forged(skb, w))
		return refused_for(skb, w, REASON_FORGED);
	f = create(w);
	if (!f)
		return drop(w, REASON_FLOW_TABLE_FULL);
	if (f->zone_in == ZONE_SELF || f->zone_out == ZONE_SELF) {
		/* What is for the router is not translated; what it sends is seen
		 * here as it leaves, and answered so. */
		reverse(&w->tuple, &f->orig);
		learn_reply(f, &w->tuple);
		announce(f, w->now);
	}
	return pass(skb, w, f);
}

#endif
