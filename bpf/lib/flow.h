/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The flow table: a cache over conntrack that carries what conntrack does not,
 * the verdict and who gave it. Records are told to the agent by ring; the ones
 * that run are read from the table.
 */
#ifndef NGFW_FLOW_H
#define NGFW_FLOW_H

#include "account.h"
#include "classify.h"
#include "conntrack.h"
#include "tuples.h"

#define SECOND 1000000000ULL
/* How long a cached flow is trusted before conntrack is asked again. */
#define VOUCHED (1 * SECOND)
/* Below the kernel's timeouts (nf_conntrack-sysctl: icmp 30 s, generic 600 s),
 * so that for protocols without lookup our state ends before conntrack's. */
#define ICMP_IDLE (25 * SECOND)
#define GENERIC_IDLE (590 * SECOND)

/* Another CPU may have stamped a little later than this packet came. */
static __always_inline __u64 age(__u64 now, __u64 then)
{
	return now > then ? now - then : 0;
}

/* When each CPU last woke the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} woken SEC(".maps");

/*
 * Waking the agent interrupts a processor, which costs more than the event: it
 * is woken for the first one, and for what follows at once it looks by itself
 * (flow.Reader waits longer than this after each event that it has read).
 */
#define WAKE_AGAIN (2 * 1000000ULL)

static __always_inline __u64 wake(__u64 now)
{
	__u64 *last = element(&woken, 0);

	if (last && age(now, *last) < WAKE_AGAIN)
		return BPF_RB_NO_WAKEUP;
	if (last)
		*last = now;
	return BPF_RB_FORCE_WAKEUP;
}

/* A packet that opens no flow: the event is all there is of it. */
static __always_inline void emit_refused(__u32 action, __u64 now, const struct flow *f)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		count_stat(STAT_EVENTS_LOST, 1);
		return;
	}
	e->kind = EVENT_REFUSED;
	e->action = action;
	e->time = now;
	__builtin_memcpy(&e->flow, f, sizeof(e->flow));
	bpf_ringbuf_submit(e, wake(now));
}

/* What happens to a flow of the table, where the agent reads the rest. */
static __always_inline void emit(__u32 kind, __u64 now, const struct flow *f)
{
	struct notice *n = bpf_ringbuf_reserve(&events, sizeof(*n), 0);

	if (!n) {
		count_stat(STAT_EVENTS_LOST, 1);
		return;
	}
	n->kind = kind;
	n->action = ACTION_ACCEPT;
	n->time = now;
	n->id = f->id;
	bpf_ringbuf_submit(n, wake(now));
}

static __always_inline __u32 port_of(__u32 slot, __u32 ifindex)
{
	void *ports = element(&image_ports, slot);
	__u32 *port;

	if (!ports)
		return 0;
	port = bpf_map_lookup_elem(ports, &ifindex);
	return port ? *port : 0;
}

/* Interface 0 is the router itself. */
static __always_inline __u32 zone_of(__u32 slot, __u32 ifindex)
{
	return ifindex ? port_of(slot, ifindex) & PORT_ZONE_MASK : ZONE_SELF;
}

/* Record that answers of f arrive with this tuple. */
static __always_inline void learn_reply(struct flow *f, const struct tuple *reply)
{
	f->reply = *reply;
	if (!lead(reply, f->id)) {
		count_stat(STAT_LEARN_FAILED, 1);
		return;
	}
	__sync_fetch_and_or(&f->flags, FLOW_REPLY_KNOWN);
}

/* Count and tell a refused packet; repeats within a second are counted only. */
SUBPROGRAM int refuse(struct work *w)
{
	struct refusal_key key = {};
	struct refusal *r, fresh = {};
	struct flow *f;

	if (!w)
		return 0;
	f = &w->flow;
	copy16(key.saddr, f->orig.saddr);
	key.decider = f->decider;
	key.dport = f->orig.dport;
	key.proto = f->orig.proto;
	key.zone_in = f->zone_in;
	r = bpf_map_lookup_elem(&refusals, &key);
	/* A window that the agent has not fetched yet goes on: nothing is overwritten. */
	if (r && (age(w->now, r->since) < SECOND || r->repeats)) {
		atomic_add(&r->repeats, w->amount.packets);
		atomic_add(&r->bytes, w->amount.bytes);
		return 0;
	}
	fresh.since = w->now;
	fresh.revision = f->revision;
	fresh.last = f->orig;
	fresh.decider = f->decider;
	fresh.ifindex_in = f->ifindex_in;
	fresh.ifindex_out = f->ifindex_out;
	fresh.zone_in = f->zone_in;
	fresh.zone_out = f->zone_out;
	fresh.action = w->question.verdict.action;
	__builtin_memcpy(fresh.smac, f->smac, sizeof(fresh.smac));
	bpf_map_update_elem(&refusals, &key, &fresh, BPF_ANY);
	f->id = refused_id(w->now);
	/* Of a flow that was cut this is a copy: what had passed is not refused. */
	f->packets[0] = w->amount.packets;
	f->packets[1] = 0;
	f->bytes[0] = w->amount.bytes;
	f->bytes[1] = 0;
	emit_refused(fresh.action, w->now, f);
	return 0;
}

/* TCP's own signs of an end; the agent reads the final counts a little later. */
static __always_inline void note_tcp(struct flow *f, const struct work *w)
{
	__u32 both = FLOW_FIN_ORIG | FLOW_FIN_REPLY, add = 0, old = f->flags;

	if (w->packet.flags & PKT_RST)
		add |= FLOW_RST;
	if (w->packet.flags & PKT_FIN)
		add |= w->dir ? FLOW_FIN_REPLY : FLOW_FIN_ORIG;
	if (!(add & ~old))
		return;
	add |= old;
	if ((add & FLOW_RST || (add & both) == both) && !(old & FLOW_CLOSED)) {
		__sync_fetch_and_or(&f->flags, add | FLOW_CLOSED);
		emit(EVENT_CLOSE, w->now, f);
		return;
	}
	__sync_fetch_and_or(&f->flags, add);
}

static __always_inline void announce(struct flow *f, __u64 now)
{
	/* Two CPUs may come here at once; one of them tells. */
	if (__sync_fetch_and_or(&f->flags, FLOW_ANNOUNCED) & FLOW_ANNOUNCED)
		return;
	emit(EVENT_OPEN, now, f);
}

#endif
