// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The policy on the wire. Ingress judges what arrives, egress judges what the
 * router itself sends and checks that a forwarded packet leaves as it was
 * judged. Both return TCX_NEXT, so that other filters still run.
 */
#include "lib/guard.h"
#include "lib/quote.h"
#include "lib/redirect.h"
#include "lib/trace.h"

/* For the Go side's sake. */
const struct event *event_type __attribute__((unused));
const struct notice *notice_type __attribute__((unused));

/* The image and the interface that a packet meets. 0: there is no image. */
static __always_inline int arrive(struct __sk_buff *skb, struct work *w)
{
	struct config *c = element(&settings, 0);
	__u64 active = c ? *(volatile __u64 *)&c->active : 0;

	w->slot = active & ACTIVE_SLOT;
	w->revision = active >> ACTIVE_SHIFT;
	w->ifindex = skb->ifindex;
	w->port = port_of(w->slot, skb->ifindex);
	w->zone = w->port & PORT_ZONE_MASK;
	w->dir = 0;
	w->path = PATH_NONE;
	w->amount.packets = 1;
	w->amount.bytes = skb->len;
	return active != 0;
}

/* Tagged frames are the VLAN interface's, which has our programs too; the tag 0
 * is a priority alone (802.1Q 9.6). */
static __always_inline int is_tagged(struct __sk_buff *skb)
{
	return skb->vlan_present && skb->vlan_tci & VLAN_ID;
}

/*
 * Behind a tag without number the kernel takes off what follows, and what is behind
 * a second one without it would be the port's, judged by nobody. Is it so? What has
 * a number there is its VLAN's (__netif_receive_skb_core).
 */
static __always_inline int is_hidden(struct __sk_buff *skb)
{
	__be16 tci = 0;

	if (!skb->vlan_present ||
	    (skb->protocol != bpf_htons(ETH_P_8021Q) && skb->protocol != bpf_htons(ETH_P_8021AD)))
		return 0;
	return bpf_skb_load_bytes(skb, ETH_HLEN, &tci, sizeof(tci)) || !(tci & bpf_htons(VLAN_ID));
}

/* Fills w->packet; answers a parse_result. */
SUBPROGRAM int take(struct __sk_buff *skb, struct work *w)
{
	__u32 l3;
	int result;

	if (!w)
		return PARSE_MALFORMED;
	if (is_tagged(skb))
		return PARSE_OTHER;
	if (is_hidden(skb)) {
		__builtin_memset(&w->packet, 0, sizeof(w->packet));
		return PARSE_MALFORMED;
	}
	l3 = w->port & PORT_L3 ? 0 : ETH_HLEN;
	result = parse((void *)(long)skb->data, (void *)(long)skb->data_end, l3, skb->protocol,
		       skb->len, &w->packet);
	/* Headers may lie outside the linear part. */
	if (result == PARSE_MALFORMED && skb->data_end - skb->data < skb->len) {
		if (bpf_skb_pull_data(skb, skb->len < 1280 ? skb->len : 1280))
			return result;
		result = parse((void *)(long)skb->data, (void *)(long)skb->data_end, l3,
			       skb->protocol, skb->len, &w->packet);
	}
	if (result != PARSE_MALFORMED)
		w->amount = amount_of(skb, &w->packet);
	return result;
}

#define MISSED 0x80			/* of shortcut; above is fast_miss, for a trace */
#define MISS_SHIFT 8

static __always_inline int untaken(__u32 why)
{
	return MISSED | why << MISS_SHIFT;
}

/* The fast path for ports whose frames may carry partial checksums: the packet
 * keeps what the kernel knows of it. Of its own, since the stack of ingress is
 * needed further down. */
SUBPROGRAM int shortcut(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct config *c = element(&settings, 0);
	struct fast_watch *watch = element(&fast_watched, 0);
	struct amount a = { .packets = 1 };
	struct glance g = {};
	struct route_taken r;
	struct fast *e;
	__u32 longest;

	if (!c || !watch || !(c->fast & FAST_TC) || skb->vlan_present || data + ETH_HLEN > end)
		return untaken(FAST_MISS_OFF);
	e = glance(data, end, skb->protocol, skb->len, &g);
	if (!e)
		return untaken(missed(&g));
	if (!(e->way.form & FAST_TC))
		return untaken(FAST_MISS_FORM);
	a.bytes = g.bytes;
	longest = g.bytes;
	if (skb->gso_segs > 1) {
		a.packets = skb->gso_segs;
		a.bytes += (a.packets - 1) * g.headers;
		longest = g.headers + skb->gso_size;
	}
	if (!follow(e, FAST_TC, c, watch, skb->ifindex, data, &g, longest, a, &r))
		return untaken(g.miss);
	return redirect_skb(skb, &g, &r);
}

static __always_inline void blank_flow(struct work *w)
{
	__builtin_memset(&w->flow, 0, sizeof(w->flow));
	w->flow.orig = w->packet.tuple;
	w->flow.revision = w->revision;
}

/*
 * Where a new flow leaves, after a NAT rule has perhaps changed its destination.
 * Whether one does may depend on the zone that it would leave for. 0: the image
 * was swapped away.
 */
SUBPROGRAM int direct(struct __sk_buff *skb, struct work *w)
{
	struct question *q;
	struct nat_box *b;
	struct flow *f;
	int at = NAT_NONE;

	if (!w)
		return 0;
	q = &w->question;
	f = &w->flow;
	pose(w, f);
	q->nat_in = nat_port_of(w, f->ifindex_in);
	if (!nat_settled(q)) {
		for (int i = 0; i < NAT_TRIES; i++) {
			at = nat_find(q, NAT_STEP_DESTINATION, at + 1);
			if (at < 0) {
				if (q->search.torn)
					return 0;
				goto untranslated;
			}
			b = nat_box_at(w->slot, at);
			if (!b)
				return 0;
			note_destination(w, f, b);
			f->ifindex_out = route(skb, w, w->packet.tuple.saddr, f->to, 0);
			f->zone_out = zone_of(w->slot, f->ifindex_out);
			if (nat_turns(b, f->zone_in, f->zone_out)) {
				if (b->flags & NAT_HAIRPIN && f->zone_in == f->zone_out)
					f->flags |= FLOW_TURN;
				if (b->flags & NAT_LOG)
					f->flags |= FLOW_LOG;
				return 1;
			}
		}
		return 0;
	}
untranslated:
	f->flags = 0;
	f->nat[0] = 0;
	f->priority = 0;
	__builtin_memset(f->to, 0, sizeof(f->to));
	f->to_port = 0;
	f->ifindex_out = route(skb, w, w->packet.tuple.saddr, w->packet.tuple.daddr, 0);
	f->zone_out = zone_of(w->slot, f->ifindex_out);
	return 1;
}

/* A packet that does not take the fast path. */
static __always_inline int judge_arrival(struct __sk_buff *skb, struct work *w)
{
	struct flow *f;
	int image, result;

	image = arrive(skb, w);
	w->now = bpf_ktime_get_boot_ns();
	result = take(skb, w);
	if (result == PARSE_OTHER) {
		w->path = PATH_OTHER;
		return TC_NEXT;
	}
	if (!image)
		return drop(w, REASON_NO_IMAGE);
	if (result == PARSE_MALFORMED)
		return drop(w, REASON_MALFORMED);
	/* Where XDP has not looked. */
	if (!(w->port & PORT_EARLY)) {
		w->reason = unwanted(&w->packet, w->ifindex, w->amount.packets, result == PARSE_OK ? LOOK_WHOLE : 0);
		if (w->reason != REASON_NONE)
			return TC_DROP;
	}
	count_stat(STAT_PACKETS, w->amount.packets);
	count_stat(STAT_BYTES, w->amount.bytes);
	/* Goes to conntrack's defragmentation unjudged; the whole has the mark of
	 * its first fragment, and without one never becomes whole. Whose fragments
	 * come together is asked of nobody there. */
	if (result == PARSE_FRAGMENT) {
		w->path = PATH_FRAGMENT;
		if (!w->zone)
			return drop(w, REASON_NO_ZONE);
		return forged(skb, w) ? drop(w, REASON_FORGED) : TC_NEXT;
	}
	if (w->packet.flags & PKT_ICMP_ERROR)
		return icmp_error(skb, w);

	f = find_flow(&w->packet.tuple, &w->dir);
	if (f) {
		result = known(skb, w, f);
		if (result != UNKNOWN)
			return result;
	}

	blank_flow(w);
	if (!(w->port & PORT_L3))
		bpf_skb_load_bytes(skb, ETH_ALEN, w->flow.smac, ETH_ALEN);
	/* A SYN against the direction of what conntrack knows, or behind its end, is
	 * no part of it: conntrack too begins anew with it. */
	if (ct_state(skb, w) &&
	    !(w->packet.flags & PKT_SYN && (w->dir || w->closing))) {
		if (w->dir) {
			__u32 in = route(skb, w, w->reply.saddr, w->orig.saddr, 1);

			/* Its own frames came from where its answers go to. */
			__builtin_memset(w->flow.smac, 0, ETH_ALEN);
			if (!(port_of(w->slot, in) & PORT_L3))
				__builtin_memcpy(w->flow.smac, w->neighbour, ETH_ALEN);
			return adopt(skb, w, in, w->ifindex);
		}
		return adopt(skb, w, w->ifindex, route(skb, w, w->orig.saddr, w->reply.saddr, 0));
	}
	w->flow.ifindex_in = w->ifindex;
	w->flow.zone_in = w->zone;
	if (w->zone && !direct(skb, w))
		return drop(w, REASON_NO_IMAGE);
	return begin(skb, w);
}

SEC("tc")
int ngfw_ingress(struct __sk_buff *skb)
{
	struct work *w = element(&works, WORK_INGRESS);
	int result, way, traced = w && tracing();

	/* As it arrived: the fast path rewrites it, and has no stack to spare. */
	if (traced) {
		w->port = 0;
		traced = take(skb, w) == PARSE_OK ? 2 : 1;
	}
	way = shortcut(skb);
	if (!(way & MISSED)) {
		if (traced == 2 && way == TC_REDIRECT)
			trace_fast_skb(skb);
		return way;
	}
	if (!w)
		return TC_DROP;
	result = judge_arrival(skb, w);
	if (traced) {
		w->miss = way >> MISS_SHIFT;
		trace_ingress(skb, result);
	}
	return result == TC_NEXT ? qos_divert(skb, result) : result;
}

/*
 * The first forwarded packets of a flow show at egress how it is translated, also
 * in fragments, which parsed says. 0: otherwise than it was judged. w->now is not
 * set: the flow has just been seen.
 */
static __always_inline int learn(struct __sk_buff *skb, struct work *w, int parsed)
{
	struct flow *f;
	__u32 dir = 0;

	if (!ct_origin(skb, w)) {
		/* Nobody tracks it, so nobody has translated it. */
		if (parsed != PARSE_OK)
			return 1;
		w->orig = w->packet.tuple;
		reverse(&w->reply, &w->orig);
	}
	f = find_flow(&w->orig, &dir);
	if (f && parsed == PARSE_OK && w->packet.tuple.proto == IPPROTO_TCP && w->packet.flags & (PKT_FIN | PKT_RST)) {
		w->dir = dir;
		note_end(skb, w, f);
	}
	if (!f || dir)
		return 1;
	if (!as_judged(w, f))
		return 0;
	if (parsed != PARSE_OK || w->packet.flags & PKT_ICMP_ERROR)
		return 1;
	if (f->flags & FLOW_REPLY_KNOWN) {
		learn_way(skb, w, f);
		return 1;
	}
	reverse(&w->reply, &w->packet.tuple);
	reverse(&w->tuple, &f->orig);
	if (!same_tuple(&w->tuple, &w->reply))
		__sync_fetch_and_or(&f->flags, FLOW_NAT);
	learn_reply(f, &w->reply);
	announce(f, f->seen);
	return 1;
}

/* What the router itself sends. */
static __always_inline int own(struct __sk_buff *skb, struct work *w)
{
	__u32 zone = w->zone;
	struct flow *f;
	int result;

	w->zone = ZONE_SELF;
	count_stat(STAT_PACKETS, w->amount.packets);
	count_stat(STAT_BYTES, w->amount.bytes);
	/* The kernel sends these only in answer to a packet it was given. */
	if (w->packet.flags & PKT_ICMP_ERROR) {
		count_decider(DECIDER(DECIDER_SYSTEM, SYSTEM_ICMP_ERROR), w->amount, w->now);
		return TC_NEXT;
	}
	f = find_flow(&w->packet.tuple, &w->dir);
	/* The agent resets what the matcher rejects, in the name of either end. */
	if (f && w->packet.flags & PKT_RST && is_blocked(f))
		f = 0;
	if (f) {
		/* A flow through the router would be known by its own tuple too. */
		result = known(skb, w, f);
		if (result != UNKNOWN)
			return result;
	}
	if (w->packet.flags & PKT_RST) {
		count_decider(DECIDER(DECIDER_SYSTEM, SYSTEM_RESET), w->amount, w->now);
		return TC_NEXT;
	}
	blank_flow(w);
	/* Conntrack has seen every packet by now, so for a new flow it knows it
	 * in its first direction. */
	if (!(w->packet.flags & PKT_SYN) && ct_state(skb, w)) {
		if (w->dir) {
			if (!(w->port & PORT_L3))
				bpf_skb_load_bytes(skb, 0, w->flow.smac, ETH_ALEN);
			return adopt(skb, w, w->ifindex, 0);
		}
		if (w->packet.tuple.proto == IPPROTO_TCP)
			return adopt(skb, w, 0, w->ifindex);
	}
	w->flow.zone_in = ZONE_SELF;
	w->flow.zone_out = zone;
	w->flow.ifindex_out = w->ifindex;
	return begin(skb, w);
}

static __always_inline int egress(struct __sk_buff *skb, struct work *w)
{
	struct fragment_key *key;
	int image, result;

	w->path = PATH_OTHER;
	/* Its VLAN's interface has let it leave, for a zone that need not be ours. */
	if (is_tagged(skb) || skb->protocol == bpf_htons(ETH_P_8021Q) || skb->protocol == bpf_htons(ETH_P_8021AD))
		return TC_NEXT;
	image = arrive(skb, w);
	/* Judged at ingress: nothing is left to parse, unless there is to learn. */
	if (skb->mark & MARK_JUDGED && skb->ingress_ifindex && image) {
		w->path = PATH_FORWARDED;
		if ((skb->mark & MARK_ZONE_MASK) != mark_zone(w->zone)) {
			/* Conntrack has taken the flow for one of this zone, translated as
			 * is usual here: back on its way it would leave like that. */
			if (take(skb, w) == PARSE_OK)
				ct_end_of_packet(skb, w);
			w->now = bpf_ktime_get_boot_ns();
			return drop(w, REASON_EGRESS_ZONE);
		}
		if (skb->mark & MARK_LEARN && !learn(skb, w, take(skb, w))) {
			w->now = bpf_ktime_get_boot_ns();
			return drop(w, REASON_NAT);
		}
		if (skb->priority >> 24 == NAT_PRIORITY >> 24)
			skb->priority = 0;
		return TC_NEXT;
	}
	w->now = bpf_ktime_get_boot_ns();
	result = take(skb, w);
	if (result == PARSE_OTHER) {
		w->path = PATH_OTHER;
		return TC_NEXT;
	}
	if (!image)
		return drop(w, REASON_NO_IMAGE);
	if (result == PARSE_MALFORMED)
		return drop(w, REASON_MALFORMED);
	if (skb->ingress_ifindex)
		return drop(w, REASON_UNJUDGED);

	/* Our own packets arrive here in fragments; only the first has ports. */
	key = &w->fragment;
	copy16(key->saddr, w->packet.tuple.saddr);
	copy16(key->daddr, w->packet.tuple.daddr);
	key->id = w->packet.frag_id;
	key->proto = 0;
	if (result == PARSE_FRAGMENT) {
		__u64 *seen = bpf_map_lookup_elem(&fragments, key);

		w->path = PATH_FRAGMENT;
		return seen && w->now - *seen < 30 * SECOND ? TC_NEXT : drop(w, REASON_FRAGMENT);
	}
	result = own(skb, w);
	if (result == TC_NEXT && w->packet.flags & PKT_FIRST_FRAGMENT)
		bpf_map_update_elem(&fragments, key, &w->now, BPF_ANY);
	return result;
}

SEC("tc")
int ngfw_egress(struct __sk_buff *skb)
{
	struct work *w = element(&works, WORK_EGRESS);
	int result;

	if (!w)
		return TC_DROP;
	result = egress(skb, w);
	if (tracing()) {
		/* Of what is judged already nobody has looked at the headers. */
		if (skb->ingress_ifindex)
			take(skb, w);
		trace_egress(skb, result);
	}
	return result;
}

char _license[] SEC("license") = "GPL";
