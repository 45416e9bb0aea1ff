/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Tells the agent what the programs do with single packets, while it asks: each
 * program in one record, when it is done. Without a trace it costs a program one
 * load. A trace ends by itself when its time is over.
 *
 * Which packets: those whose tuple on the wire or whose flow's is asked for. One
 * that was told of at ingress is told of at egress too, translated as it may be:
 * it is known by its address.
 */
#ifndef NGFW_TRACE_H
#define NGFW_TRACE_H

#include "../abi/trace.h"
#include "fast.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace);
} traces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} trace_records SEC(".maps");

/* Packets that ingress has told of, by their addresses. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} traced_packets SEC(".maps");

/* For the Go side's sake. */
const struct trace_record *trace_record_type __attribute__((unused));

static __always_inline int tracing(void)
{
	struct trace *t = element(&traces, 0);

	return t && *(volatile __u64 *)&t->until;
}

static __always_inline int trace_in(const struct trace_side *s, const __u8 *address)
{
	const __u64 *a = (const __u64 *)s->address, *m = (const __u64 *)s->mask, *x = (const __u64 *)address;

	return !(((a[0] ^ x[0]) & m[0]) | ((a[1] ^ x[1]) & m[1]));
}

static __always_inline int trace_along(const struct trace *t, const __u8 *src, const __u8 *dst, __be16 sport, __be16 dport)
{
	return trace_in(&t->src, src) && trace_in(&t->dst, dst) && (!t->sport || t->sport == sport) &&
	       (!t->dport || t->dport == dport);
}

/* Is a packet with this tuple asked for? */
SUBPROGRAM int trace_wants(const struct trace *t, const struct tuple *p)
{
	if (!t || !p)
		return 0;
	if ((t->proto && t->proto != p->proto) || (t->port && t->port != p->sport && t->port != p->dport))
		return 0;
	if (!trace_in(&t->host, p->saddr) && !trace_in(&t->host, p->daddr))
		return 0;
	return trace_along(t, p->saddr, p->daddr, p->sport, p->dport) ||
	       (t->flags & TRACE_BOTH && trace_along(t, p->daddr, p->saddr, p->dport, p->sport));
}

/* A record may be written now; the guard is guard.h's. */
static __always_inline int trace_allowed(struct trace *t, __u64 now)
{
	__u64 until = *(volatile __u64 *)&t->until, empty = *(volatile __u64 *)&t->empty;

	if (now >= until) {
		*(volatile __u64 *)&t->until = 0;
		return 0;
	}
	if (empty < now)
		empty = now;
	if (empty - now > t->burst) {
		atomic_add(&t->skipped, 1);
		return 0;
	}
	*(volatile __u64 *)&t->empty = empty + t->interval;
	return 1;
}

static __always_inline struct trace_record *trace_reserve(struct trace *t, __u64 now)
{
	struct trace_record *r;

	if (!trace_allowed(t, now))
		return 0;
	r = bpf_ringbuf_reserve(&trace_records, sizeof(*r), 0);
	if (!r) {
		atomic_add(&t->lost, 1);
		return 0;
	}
	__builtin_memset(r, 0, sizeof(*r));
	r->time = now;
	r->cpu = bpf_get_smp_processor_id();
	return r;
}

/* What the record says of a flow, or of what the packet would have opened. */
static __always_inline void trace_flow(struct trace_record *r, const struct flow *f)
{
	r->flow = f->id;
	r->decider = f->decider;
	r->revision = f->revision;
	r->flow_flags = f->flags;
	r->nat[0] = f->nat[0];
	r->nat[1] = f->nat[1];
	r->ifindex_in = f->ifindex_in;
	r->ifindex_out = f->ifindex_out;
	r->zone_in = f->zone_in;
	r->zone_out = f->zone_out;
	r->to_port = f->to_port;
	r->orig = f->orig;
	copy16(r->to, f->to);
	__builtin_memcpy(r->smac, f->smac, sizeof(r->smac));
}

static __always_inline int trace_port(const struct trace *t, __u32 in, __u32 out)
{
	return !t->ifindex || t->ifindex == in || t->ifindex == out;
}

static __always_inline int trace_flow_wanted(const struct trace *t, const struct flow *f)
{
	return f && t->flags & TRACE_BOTH && trace_wants(t, &f->orig);
}

/* How a packet of e leaves, translated as its way says. */
static __always_inline void trace_leaves(const struct fast *e, struct tuple *t)
{
	const struct fast_nat *nat = (const void *)e->key.net;

	if (!(e->way.form & FAST_REWRITE))
		return;
	if (!e->key.v4) {
		const struct fast_nat6 *nat6 = nat6_of(e);

		if (!nat6)
			return;
		__builtin_memcpy(t->saddr, nat6->saddr, sizeof(t->saddr) + sizeof(t->daddr));
		t->sport = nat6->sport;
		t->dport = nat6->dport;
		return;
	}
	map_v4(t->saddr, nat->saddr);
	map_v4(t->daddr, nat->daddr);
	t->sport = nat->sport;
	t->dport = nat->dport;
}

/* A packet that the fast path sends on, from before it is rewritten, parsed into the work. */
static __always_inline int trace_fast(__u32 ifindex, __u32 hook, __u32 result)
{
	struct work *w = element(&works, WORK_INGRESS);
	struct trace *t = element(&traces, 0);
	struct trace_record *r;
	struct packet *p;
	struct flow *f;
	struct fast *e;
	__u32 dir = 0;

	if (!t || !w)
		return 0;
	p = &w->packet;			/* the stack is small */
	e = fast_of(&p->tuple);
	if (!e)
		return 0;
	f = find_flow(&p->tuple, &dir);
	if ((!trace_wants(t, &p->tuple) && !trace_flow_wanted(t, f)) || !trace_port(t, ifindex, e->way.ifindex_out))
		return 0;
	r = trace_reserve(t, bpf_ktime_get_boot_ns());
	if (!r)
		return 0;
	if (f)
		trace_flow(r, f);
	r->flow = e->id;
	r->hook = hook;
	r->path = PATH_FAST;
	r->result = result;
	r->decider = e->decider;
	r->dir = dir;
	r->tuple = p->tuple;
	r->after = p->tuple;
	trace_leaves(e, &r->after);
	r->ifindex_in = ifindex;
	r->ifindex_out = e->way.ifindex_out;
	r->bytes = p->bytes;
	r->packets = 1;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

/*
 * These look at the packet for themselves: what the program knows of it is best
 * left in registers, and is not once somebody else gets to see it.
 */
#ifdef NGFW_TRACE_XDP

/* Into the work, from behind the tags that XDP's other half looks behind. */
SUBPROGRAM int trace_parse(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct work *w = element(&works, WORK_INGRESS);
	struct ethhdr *eth = data;
	struct vlan_header *v = (void *)(eth + 1);
	__u32 l3 = sizeof(*eth);
	__be16 proto;

	if (!w || (void *)(eth + 1) > end)
		return PARSE_OTHER;
	proto = eth->h_proto;
	for (int i = 0; i < MAX_TAGS; i++, v++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(v + 1) > end)
			return PARSE_OTHER;
		proto = v->proto;
		l3 += sizeof(*v);
	}
	return parse(data, end, l3, proto, bpf_xdp_get_buff_len(ctx), &w->packet);
}

/* The outer tag's number; 0: there is none, or a priority alone. */
static __always_inline __u16 trace_tag(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct vlan_header *v = (void *)(eth + 1);

	if ((void *)(v + 1) > end ||
	    (eth->h_proto != bpf_htons(ETH_P_8021Q) && eth->h_proto != bpf_htons(ETH_P_8021AD)))
		return 0;
	return bpf_ntohs(v->tci) & VLAN_ID;
}

SUBPROGRAM int trace_fast_xdp(struct xdp_md *ctx)
{
	return trace_parse(ctx) == PARSE_OK ? trace_fast(ctx->ingress_ifindex, TRACE_XDP, XDP_REDIRECT) : 0;
}

/* A packet that XDP did not send on; it has not changed it. */
SUBPROGRAM int trace_xdp(struct xdp_md *ctx, __u32 result, __u32 reason, __u32 miss)
{
	struct work *w = element(&works, WORK_INGRESS);
	struct trace *t = element(&traces, 0);
	struct trace_record *r;
	struct packet *p;
	struct flow *f;
	__u32 dir = 0;
	int parsed;

	if (!t || !w)
		return 0;
	p = &w->packet;
	parsed = trace_parse(ctx);
	if (parsed == PARSE_OTHER)
		return 0;
	f = find_flow(&p->tuple, &dir);
	if ((!trace_wants(t, &p->tuple) && !trace_flow_wanted(t, f)) || !trace_port(t, ctx->ingress_ifindex, 0))
		return 0;
	r = trace_reserve(t, bpf_ktime_get_boot_ns());
	if (!r)
		return 0;
	if (f)
		trace_flow(r, f);
	r->hook = TRACE_XDP;
	r->path = parsed == PARSE_FRAGMENT ? PATH_FRAGMENT : PATH_NONE;
	r->miss = miss;
	r->result = result;
	r->reason = reason;
	r->dir = dir;
	r->tuple = p->tuple;
	r->flags = p->flags;
	r->bytes = p->bytes;
	r->packets = 1;
	r->vlan = trace_tag(ctx);
	r->ifindex_in = ctx->ingress_ifindex;
	r->ifindex_out = 0;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

#else

/* Parsed into the work before it was rewritten. */
SUBPROGRAM int trace_fast_skb(struct __sk_buff *skb)
{
	return trace_fast(skb->ifindex, TRACE_INGRESS, TC_REDIRECT);
}

/* What a packet is known by: a program's context is the packet itself. The
 * verifier knows no arithmetic on addresses; a copy is a number. */
static __always_inline __u64 trace_name(const struct trace *t, struct __sk_buff *skb)
{
	void *address = skb;
	__u64 name = 0;

	bpf_probe_read_kernel(&name, sizeof(name), &address);
	return name ^ t->seed;
}

static __always_inline void trace_skb(struct trace_record *r, struct __sk_buff *skb, const struct work *w)
{
	r->path = w->path;
	r->tuple = w->packet.tuple;
	r->flags = w->packet.flags;
	r->bytes = w->amount.bytes;
	r->packets = w->amount.packets;
	r->mark = skb->mark;
	r->dir = w->dir;
	r->revision = w->revision;
}

/* What was judged anew: the question's answer, not the flow's of before. */
static __always_inline void trace_verdict(struct trace_record *r, const struct work *w)
{
	__u32 path = w->path & 0xff;

	r->action = 0;
	if (path != PATH_NEW && path != PATH_ADOPTED && !(w->path & PATH_REJUDGED))
		return;
	r->action = w->question.verdict.action;
	if (r->action)
		r->decider = w->question.verdict.decider;
}

/* The flow behind a packet, as it stands when the program is done, or what it would have opened. */
static __always_inline struct flow *trace_find(struct work *w)
{
	__u32 path = w->path & 0xff, dir;
	struct flow *f;

	f = find_flow(path == PATH_ERROR ? &w->tuple : &w->packet.tuple, &dir);
	return f || (path != PATH_NEW && path != PATH_ADOPTED) ? f : &w->flow;
}

/* These find the work for themselves: from what a function is handed Linux before
 * 6.2 takes no keys. */
SUBPROGRAM int trace_ingress(struct __sk_buff *skb, __u32 result)
{
	struct work *w = element(&works, WORK_INGRESS);
	struct trace *t = element(&traces, 0);
	struct trace_record *r;
	struct flow *f;
	__u32 far = 0;
	__u64 name;

	if (!t || !w || w->path == PATH_OTHER)
		return 0;
	name = trace_name(t, skb);
	f = trace_find(w);
	if (f)
		far = w->dir ? f->ifindex_in : f->ifindex_out;
	if ((!trace_wants(t, &w->packet.tuple) && !trace_flow_wanted(t, f)) || !trace_port(t, w->ifindex, far)) {
		bpf_map_delete_elem(&traced_packets, &name);
		return 0;
	}
	r = trace_reserve(t, w->now);
	if (!r)
		return 0;
	if (f)
		trace_flow(r, f);
	trace_skb(r, skb, w);
	trace_verdict(r, w);
	r->hook = TRACE_INGRESS;
	r->miss = w->miss;
	r->packet = name;
	r->result = result;
	r->reason = result == TC_DROP || r->mark & MARK_REJECT ? w->reason : 0;
	r->ifindex_in = w->ifindex;
	r->ifindex_out = far;
	bpf_map_update_elem(&traced_packets, &name, &w->now, BPF_ANY);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

SUBPROGRAM int trace_egress(struct __sk_buff *skb, __u32 result)
{
	struct work *w = element(&works, WORK_EGRESS);
	struct trace *t = element(&traces, 0);
	struct trace_record *r;
	struct flow *f = 0;
	__u64 name, *told;
	__u32 dir = 0;

	if (!t || !w || w->path == PATH_OTHER)
		return 0;
	name = trace_name(t, skb);
	if (skb->ingress_ifindex) {
		told = bpf_map_lookup_elem(&traced_packets, &name);
		if (!told)
			return 0;
		bpf_map_delete_elem(&traced_packets, &name);
		if (ct_origin(skb, w))
			f = find_flow(&w->orig, &dir);
	} else {
		f = trace_find(w);
		if ((!trace_wants(t, &w->packet.tuple) && !trace_flow_wanted(t, f)) ||
		    !trace_port(t, w->ifindex, 0))
			return 0;
	}
	r = trace_reserve(t, bpf_ktime_get_boot_ns());
	if (!r)
		return 0;
	if (f)
		trace_flow(r, f);
	trace_skb(r, skb, w);
	trace_verdict(r, w);
	r->hook = TRACE_EGRESS;
	r->packet = name;
	r->result = result;
	r->reason = result == TC_DROP ? w->reason : 0;
	r->ifindex_in = skb->ingress_ifindex;
	r->ifindex_out = w->ifindex;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

#endif

#endif
