// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * HTB's filters: each answers the class of a packet as HTB numbers it, or 0,
 * which is none: HTB then sends at once. They run at the root of a qdisc of
 * ours, on a port or on an ifb.
 */
#include "lib/qos.h"

/* The link stage: by class. What was not judged as part of a flow, such as a later
 * fragment, is what matches no class; what is not IP is not shaped. */
SEC("tc")
int ngfw_qos_link(struct __sk_buff *skb)
{
	__u32 slot = 0, class = (skb->mark & MARK_CLASS_MASK) >> MARK_CLASS_SHIFT;
	struct qos_table *t = qos_now(&slot);

	if (!t)
		return 0;
	if (!class) {
		if (!is_ip(skb))
			return 0;
		class = t->rest[0];
	}
	return QOS_CLASSID(slot, class);
}

/* The device stage, where devices send: only what goes to an uplink. */
SEC("tc")
int ngfw_qos_upload(struct __sk_buff *skb)
{
	struct qos_device *d;
	__u32 slot = 0;

	if (!(skb->mark & MARK_CLASS_MASK) || !qos_now(&slot))
		return 0;
	d = qos_device_at(skb, ETH_ALEN, slot);
	return d && d->upload ? QOS_CLASSID(slot, d->number) : 0;
}

/* The device stage, where they receive: only what comes from an uplink. */
SEC("tc")
int ngfw_qos_download(struct __sk_buff *skb)
{
	struct qos_device *d;
	__u32 slot = 0;

	if (!(skb->mark & MARK_CLASS_MASK) || !qos_now(&slot))
		return 0;
	d = qos_device_at(skb, 0, slot);
	return d && d->download ? QOS_CLASSID(slot, d->number) : 0;
}

char _license[] SEC("license") = "GPL";
