/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the kernel itself knows of a packet that shows the fast path its way: whether
 * conntrack's entry is settled, the longest packet that its route takes, and whether
 * its port may be left past the queueing discipline.
 */
#ifndef NGFW_SETTLED_H
#define NGFW_SETTLED_H

#include "glance.h"
#include "../abi/qos.h"

#define RTAX_MTU 2			/* linux/rtnetlink.h */
#define DST_METRICS_FLAGS 3UL		/* net/dst.h */
#define SKB_DST_NOREF 1UL		/* linux/skbuff.h */

struct Qdisc_ops {
	char id[16];
} __kernel_type;

struct Qdisc {
	const struct Qdisc_ops *ops;
	__u32 handle;
} __kernel_type;

struct net_device {
	unsigned int mtu;
	struct Qdisc *qdisc;
} __kernel_type;

struct sk_buff___way {
	__u8 active_extensions;
	struct net_device *dev;
	unsigned long _skb_refdst;
} __kernel_type;

struct dst_entry {
	unsigned long _metrics;
} __kernel_type;

struct dst_metrics {
	__u32 metrics[17];
} __kernel_type;

struct nf_ct_ext {
	__u8 offset[4];
} __kernel_type;

struct ip_ct_tcp_state___way {
	__u32 td_maxack;
	__u8 flags;
} __kernel_type;

struct ip_ct_tcp___way {
	struct ip_ct_tcp_state___way seen[2];
	__u8 state;
} __kernel_type;

union nf_conntrack_proto___way {
	struct ip_ct_tcp___way tcp;
} __kernel_type;

struct nf_conn___way {
	__u32 timeout;
	unsigned long status;
	struct nf_ct_ext *ext;
	union nf_conntrack_proto___way proto;
} __kernel_type;

/* linux/netfilter/nf_conntrack_common.h, nf_conntrack_tcp.h */
#define IPS_SEEN_REPLY (1UL << 1)
#define IPS_ASSURED (1UL << 2)
#define IPS_CONFIRMED (1UL << 3)
#define IPS_SEQ_ADJUST (1UL << 6)
#define IPS_DYING (1UL << 9)
#define IPS_NAT_CLASH (1UL << 12)
#define TCP_CONNTRACK_ESTABLISHED 3
#define IP_CT_TCP_FLAG_BE_LIBERAL 0x08
#define IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED 0x10
#define IP_CT_TCP_FLAG_MAXACK_SET 0x20
#define NF_CT_EXT_HELPER 0

/* Came out of IPsec, say: what arrives in the clear must not pass for it. */
static __always_inline int decorated(struct __sk_buff *skb)
{
	struct sk_buff___way *k = kernel_skb(sk_buff___way, skb);

	return bpf_core_field_exists(k->active_extensions) && kernel_field(k->active_extensions);
}

static __always_inline int is_liberal(struct nf_conn___way *ct)
{
	return kernel_field(ct->proto.tcp.seen[0].flags) & kernel_field(ct->proto.tcp.seen[1].flags) &
	       IP_CT_TCP_FLAG_BE_LIBERAL;
}

#define CT_UNSETTLED 0
#define CT_STRICT 1		/* about sequence numbers */
#define CT_SETTLED 2

/* Conntrack's word on the packet's flow: established, and nobody edits it. */
static __always_inline int ct_settled(struct __sk_buff *skb, __u8 proto)
{
	struct nf_conn___way *ct = (void *)ct_raw(skb);
	struct nf_ct_ext *ext;
	unsigned long status;

	if (!ct)
		return 0;
	status = kernel_field(ct->status);
	if ((status & (IPS_SEEN_REPLY | IPS_CONFIRMED)) != (IPS_SEEN_REPLY | IPS_CONFIRMED) ||
	    status & (IPS_SEQ_ADJUST | IPS_DYING | IPS_NAT_CLASH))
		return 0;
	if (proto == IPPROTO_TCP && kernel_field(ct->proto.tcp.state) != TCP_CONNTRACK_ESTABLISHED)
		return 0;
	/* Helpers look into payloads, and may change them. */
	ext = kernel_field(ct->ext);
	if (ext && kernel_field(ext->offset[NF_CT_EXT_HELPER]))
		return CT_UNSETTLED;
	return proto == IPPROTO_TCP && !is_liberal(ct) ? CT_STRICT : CT_SETTLED;
}

/*
 * Has conntrack missed so much of this direction, which acknowledged up to ack last,
 * that it would take the other's reset for one from before (nf_conntrack_tcp_packet)?
 */
static __always_inline int ct_behind(struct __sk_buff *skb, __u32 dir, __u32 ack)
{
	struct nf_conn___way *ct = (void *)ct_raw(skb);
	__u32 known, flags;

	if (dir) {
		known = kernel_field(ct->proto.tcp.seen[1].td_maxack);
		flags = kernel_field(ct->proto.tcp.seen[1].flags);
	} else {
		known = kernel_field(ct->proto.tcp.seen[0].td_maxack);
		flags = kernel_field(ct->proto.tcp.seen[0].flags);
	}
	return flags & IP_CT_TCP_FLAG_MAXACK_SET && apart(ack, known);
}

/* Does conntrack wait for an acknowledgment, which has perhaps passed by it? */
static __always_inline int ct_waits(struct __sk_buff *skb)
{
	struct nf_conn___way *ct = (void *)ct_raw(skb);

	return (kernel_field(ct->proto.tcp.seen[0].flags) | kernel_field(ct->proto.tcp.seen[1].flags)) &
	       IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED;
}

/* Will conntrack keep the packet's flow, of which it has just seen it, for long? */
static __always_inline int ct_lasts(struct __sk_buff *skb, const struct fast_watch *watch)
{
	struct nf_conn___way *ct = (void *)ct_raw(skb);
	__u32 hz = watch->hz;

	return ct && hz && kernel_field(ct->status) & IPS_ASSURED &&
	       (__s32)(kernel_field(ct->timeout) - (__u32)bpf_jiffies64()) >= (__s32)(FAST_LASTING * hz);
}

/* The longest packet that the port and the packet's route take. */
static __always_inline __u32 mtu_of(struct __sk_buff *skb)
{
	struct sk_buff___way *k = kernel_skb(sk_buff___way, skb);
	struct dst_entry *d = (void *)(kernel_field(k->_skb_refdst) & ~SKB_DST_NOREF);
	struct net_device *dev = kernel_field(k->dev);
	__u32 mtu = kernel_field(dev->mtu), of_route = 0;
	struct dst_metrics *m;

	if (!d)
		return 0;
	m = (void *)(kernel_field(d->_metrics) & ~DST_METRICS_FLAGS);
	if (m)
		of_route = kernel_field(m->metrics[RTAX_MTU - 1]);
	return of_route && of_route < mtu ? of_route : mtu;
}

#define WORD8(a, b, c, d, e, f, g, h)                                                              \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |   \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

/* XDP sends past the queueing discipline: only the kernel's defaults allow it, and
 * ours, as what it shapes does not come here. */
static __always_inline int unshaped(struct __sk_buff *skb)
{
	struct sk_buff___way *k = kernel_skb(sk_buff___way, skb);
	struct net_device *dev = kernel_field(k->dev);
	struct Qdisc *q = kernel_field(dev->qdisc);
	const struct Qdisc_ops *ops;
	__u64 id = 0;

	if (!q || kernel_field(q->handle) == QOS_MAJOR << 16)
		return 1;
	ops = kernel_field(q->ops);
	if (!ops)
		return 0;
	bpf_probe_read_kernel(&id, sizeof(id), &ops->id);
	return id == WORD8('n', 'o', 'q', 'u', 'e', 'u', 'e', 0) ||
	       id == WORD8('f', 'q', '_', 'c', 'o', 'd', 'e', 'l') ||
	       id == WORD8('p', 'f', 'i', 'f', 'o', '_', 'f', 'a') ||
	       (id & 0xffffff) == WORD8('m', 'q', 0, 0, 0, 0, 0, 0) ||
	       (id & 0xffffff) == WORD8('f', 'q', 0, 0, 0, 0, 0, 0);
}

#endif
