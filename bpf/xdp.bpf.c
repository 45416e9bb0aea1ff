// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The earliest look at a frame: what is not a sane packet ends here, before
 * the kernel spends an skb on it.
 */
#include "lib/account.h"

struct vlan_header {
	__be16 tci, proto;
};

SEC("xdp.frags")
int ngfw_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct amount a;
	struct packet p;
	__u32 l3 = sizeof(*eth);
	__be16 proto;
	int i;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;	/* not ours to judge: no Ethernet */
	a.packets = 1;
	a.bytes = bpf_xdp_get_buff_len(ctx);
	proto = eth->h_proto;
	for (i = 0; i < 2; i++) {
		struct vlan_header *v = data + l3;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(v + 1) > end)
			goto malformed;
		proto = v->proto;
		l3 += sizeof(*v);
	}
	if (parse(data, end, l3, proto, a.bytes, &p) != PARSE_MALFORMED)
		return XDP_PASS;
malformed:
	/* Headers beyond the linear part of a multi-buffer frame: TC looks again. */
	if (ctx->data_end - ctx->data < a.bytes)
		return XDP_PASS;
	count(&drops, REASON_MALFORMED, a);
	return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
