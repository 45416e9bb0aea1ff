/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* ICMP errors: which packet one quotes, and that it follows that packet's flow. */
#ifndef NGFW_QUOTE_H
#define NGFW_QUOTE_H

#include "judge.h"

/* The tuple of the packet that an ICMP error quotes, into w->orig. */
SUBPROGRAM int quoted(struct __sk_buff *skb, struct work *w)
{
	struct tuple *t;
	__be16 ports[4] = {};
	__u32 at;
	__u8 type, next;

	if (!w)
		return 0;
	t = &w->orig;
	at = w->packet.l4 + sizeof(struct icmp_header);
	__builtin_memset(t, 0, sizeof(*t));
	if (w->packet.flags & PKT_V6) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 6)
			return 0;
		copy16(t->saddr, &ip.saddr);
		copy16(t->daddr, &ip.daddr);
		next = ip.nexthdr;
		at += sizeof(ip);
		for (int i = 0; i < MAX_EXTENSIONS; i++) {
			struct extension x;

			if (next != NEXTHDR_HOP && next != NEXTHDR_ROUTING && next != NEXTHDR_DEST &&
			    next != NEXTHDR_AUTH && next != NEXTHDR_FRAGMENT)
				break;
			if (bpf_skb_load_bytes(skb, at, &x, sizeof(x)))
				return 0;
			/* A later fragment has no ports (type and left are its offset here). */
			if (next == NEXTHDR_FRAGMENT && (x.type || x.left & 0xf8))
				return 0;
			at += next == NEXTHDR_FRAGMENT ? sizeof(struct fragment)
			      : next == NEXTHDR_AUTH ? (x.len + 2) * 4 : (x.len + 1) * 8;
			next = x.nexthdr;
		}
		t->proto = next;
	} else {
		struct iphdr ip;

		/* Nor has a later fragment ports here. */
		if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5 ||
		    ip.frag_off & bpf_htons(0x1fff))
			return 0;
		map_v4(t->saddr, ip.saddr);
		map_v4(t->daddr, ip.daddr);
		t->proto = ip.protocol;
		at += ip.ihl * 4;
	}
	if (bpf_skb_load_bytes(skb, at, ports, sizeof(ports)))
		return 0;
	switch (t->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		t->sport = ports[0];
		t->dport = ports[1];
		return 1;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		type = bpf_ntohs(ports[0]) >> 8;
		t->dport = ports[0];
		if (t->proto == IPPROTO_ICMP || type == 128 || type == 129)
			t->sport = ports[2];
		return !icmp_is_error(t->proto, type);
	default:
		return 1;
	}
}

/* An ICMP error follows the flow whose packet it quotes. */
static __always_inline int icmp_error(struct __sk_buff *skb, struct work *w)
{
	struct flow *f = 0;
	__u32 dir = 0;

	w->path = PATH_ERROR;
	if (quoted(skb, w)) {
		reverse(&w->tuple, &w->orig);	/* it travels against the quoted packet */
		f = find_flow(&w->tuple, &dir);
	}
	if (!f || f->flags & FLOW_CUT || w->zone != (dir ? f->zone_out : f->zone_in))
		return drop(w, w->zone ? REASON_NO_STATE : REASON_NO_ZONE);
	count_decider(f->decider, w->amount, w->now);
	count_nat(f, w->amount, w->now);
	count_flow(f, dir, w->amount);
	set_mark(skb, MARK_JUDGED | mark_zone(far_zone(f, dir)));
	return TC_NEXT;
}

#endif
