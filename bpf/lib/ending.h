/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * When a TCP connection has ended: when conntrack, which checks sequence numbers,
 * takes the FIN or RST for one of it. Of what is forwarded that is known where it
 * leaves; what is for the router itself is asked about before conntrack sees it.
 * A forged end so ends no record: its flow goes on under its number.
 */
#ifndef NGFW_ENDING_H
#define NGFW_ENDING_H

#include "learn.h"

struct ip_ct_tcp_state___end {
	__u32 td_maxack;
	__u8 flags;
} __kernel_type;

struct ip_ct_tcp___end {
	struct ip_ct_tcp_state___end seen[2];
	__u8 state, last_dir, last_index;
	__u32 last_end;
} __kernel_type;

union nf_conntrack_proto___end {
	struct ip_ct_tcp___end tcp;
} __kernel_type;

struct nf_conn___end {
	unsigned long status;
	union nf_conntrack_proto___end proto;
} __kernel_type;

/* linux/netfilter/nf_conntrack_common.h, nf_conntrack_tcp.h; net/netfilter/nf_conntrack_proto_tcp.c */
#define NFCT_INFO 7UL
#define IP_CT_IS_REPLY 3
#define IPS_ASSURED (1UL << 2)
#define TCP_CONNTRACK_CLOSE 8
#define IP_CT_TCP_FLAG_MAXACK_SET 0x20
#define TCP_ACK_SET 3

/*
 * Will conntrack end the packet's connection with it, a reset? By its own rule
 * (nf_conntrack_tcp_packet): the number is what the other side has acknowledged,
 * or follows the last segment; else an established connection stays one.
 */
SUBPROGRAM int ct_resets(struct __sk_buff *skb, struct work *w)
{
	struct bpf_ct_opts opts = {};
	struct nf_conn___end *ct;
	__u32 seq, maxack, flags;
	int established, result = 1;
	__be32 field;

	if (!w || bpf_skb_load_bytes(skb, w->packet.l4 + 4, &field, sizeof(field)))
		return 1;
	seq = bpf_ntohl(field);
	ct = (void *)ct_find(skb, &w->packet.tuple, &opts);
	if (!ct)
		return 1;
	if (opts.dir) {
		maxack = kernel_field(ct->proto.tcp.seen[0].td_maxack);
		flags = kernel_field(ct->proto.tcp.seen[0].flags);
	} else {
		maxack = kernel_field(ct->proto.tcp.seen[1].td_maxack);
		flags = kernel_field(ct->proto.tcp.seen[1].flags);
	}
	established = kernel_field(ct->proto.tcp.state) == TCP_CONNTRACK_ESTABLISHED &&
		      kernel_field(ct->status) & IPS_ASSURED;
	if (flags & IP_CT_TCP_FLAG_MAXACK_SET && (seq || established)) {
		if ((__s32)(seq - maxack) < 0)
			result = 0;
		else if (established && seq != maxack)
			result = kernel_field(ct->proto.tcp.last_index) == TCP_ACK_SET &&
				 kernel_field(ct->proto.tcp.last_dir) == opts.dir &&
				 kernel_field(ct->proto.tcp.last_end) == seq;
	}
	bpf_ct_release((struct nf_conn *)ct);
	return result;
}

/* f's FIN or RST leaves: conntrack has seen it, and what it calls INVALID is gone. */
SUBPROGRAM int note_end(struct __sk_buff *skb, struct work *w, struct flow *f)
{
	struct sk_buff *k = kernel_skb(sk_buff, skb);
	struct nf_conn *ct = ct_raw(skb);

	if (!w || !f)
		return 0;
	if (ct) {
		w->dir = (kernel_field(k->_nfct) & NFCT_INFO) >= IP_CT_IS_REPLY;
		if (w->packet.flags & PKT_RST && kernel_field(ct->proto.tcp.state) != TCP_CONNTRACK_CLOSE)
			return 0;
	}
	w->now = f->seen;
	note_tcp(f, w);
	end_fast(f);
	return 0;
}

#endif
