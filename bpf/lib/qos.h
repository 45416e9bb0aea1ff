/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The class of a packet that goes by an uplink. Ingress finds it once a packet
 * may pass, and notes it in the mark; HTB asks the programs of qos.bpf.c, which
 * read it there. What arrives from an uplink, or from a device whose upload is
 * limited, makes a detour through an ifb, whose qdisc shapes it; it comes back
 * behind this program, mark and priority as they were.
 *
 * Nothing here costs more than one look at qos_state while QoS is off.
 */
#ifndef NGFW_QOS_H
#define NGFW_QOS_H

#include "flow.h"
#include "../abi/qos.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} qos_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, QOS_SLOTS);
	__type(key, __u32);
	__type(value, struct qos_table);
} qos_tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct qos_link);
} qos_links SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct qos_device_key);
	__type(value, struct qos_device);
} qos_devices SEC(".maps");

/* flow id → number of the application that the matcher has found */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} qos_apps SEC(".maps");

/* The table in force; *slot is its number. 0: QoS is off. */
static __always_inline struct qos_table *qos_now(__u32 *slot)
{
	__u32 *state = element(&qos_state, 0);
	__u32 s = state ? *(volatile __u32 *)state : 0;

	if (!s)
		return 0;
	*slot = (s - 1) & (QOS_SLOTS - 1);
	return element(&qos_tables, *slot);
}

static __always_inline int is_uplink(__u32 ifindex)
{
	struct qos_link *l = bpf_map_lookup_elem(&qos_links, &ifindex);

	return l && l->kind == QOS_UPLINK;
}

/* The limit of the device whose address is at this offset of the frame. */
static __always_inline struct qos_device *qos_device_at(struct __sk_buff *skb, __u32 offset, __u32 slot)
{
	struct qos_device_key key = { .slot = slot };

	if (bpf_skb_load_bytes(skb, offset, key.mac, sizeof(key.mac)))
		return 0;
	return bpf_map_lookup_elem(&qos_devices, &key);
}

static __always_inline __u32 first_of(__u32 a, __u32 b)
{
	return b && (!a || b < a) ? b : a;
}

static __always_inline __u32 qos_choose(const struct qos_table *t, const struct flow *f, __u32 codepoint)
{
	__u32 class = t->codepoint[codepoint & (QOS_CODEPOINTS - 1)];
	__u64 id = f->id, port = bpf_ntohs(f->orig.dport);
	__u32 *app;

	/* Linux 6.1's verifier knows no bound of what was swapped. */
	asm volatile("%0 &= 0xffff" : "+r"(port));
	if (f->orig.proto == IPPROTO_TCP)
		class = first_of(class, t->port[QOS_TCP][port]);
	else if (f->orig.proto == IPPROTO_UDP)
		class = first_of(class, t->port[QOS_UDP][port]);
	if (t->apps) {
		app = bpf_map_lookup_elem(&qos_apps, &id);
		if (app)
			class = first_of(class, t->app[*app & (QOS_APPS - 1)]);
	}
	return class ? class : t->rest[f->rank & (QOS_RANKS - 1)];
}

/*
 * The class of a packet of f that may pass; 0: it goes by no uplink. What comes
 * from inside says of which device and codepoint the flow is: outside nobody
 * knows the device, and codepoints are often cleared on the way.
 */
SUBPROGRAM int qos_class(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	__u32 slot = 0, far, codepoint;
	struct qos_table *t;
	struct qos_device *d;

	if (!w || !f)
		return 0;
	t = qos_now(&slot);
	if (!t)
		return 0;
	codepoint = w->packet.tos >> 2;
	if (w->zone == ZONE_SELF) {	/* the router's own, at egress */
		if (!is_uplink(w->ifindex))
			return 0;
		f->codepoint = codepoint;
		return qos_choose(t, f, codepoint);
	}
	if (is_uplink(w->ifindex))
		return qos_choose(t, f, codepoint ? codepoint : f->codepoint);
	far = w->dir ? f->ifindex_in : f->ifindex_out;
	if (!is_uplink(far))
		return 0;
	d = w->port & PORT_L3 ? 0 : qos_device_at(skb, ETH_ALEN, slot);
	f->rank = d ? d->rank : 0;
	f->codepoint = codepoint;
	return qos_choose(t, f, codepoint);
}

static __always_inline __u32 mark_class(__u32 class)
{
	return class << MARK_CLASS_SHIFT & MARK_CLASS_MASK;
}

static __always_inline int is_ip(const struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_IPV6);
}

/* The last of ingress: a packet that may pass, to what shapes it first. Answers
 * next if nothing does. */
SUBPROGRAM int qos_divert(struct __sk_buff *skb, int next)
{
	__u32 slot = 0, ifindex = skb->ifindex;
	struct qos_device *d;
	struct qos_link *l;

	if (!qos_now(&slot))
		return next;
	l = bpf_map_lookup_elem(&qos_links, &ifindex);
	if (!l || !l->divert || !is_ip(skb))
		return next;
	if (l->kind == QOS_UPLINK)
		return bpf_redirect(l->divert, 0);
	if (!(skb->mark & MARK_CLASS_MASK))
		return next;
	d = qos_device_at(skb, ETH_ALEN, slot);
	if (!d || !d->upload)
		return next;
	return bpf_redirect(l->divert, 0);
}

#endif
