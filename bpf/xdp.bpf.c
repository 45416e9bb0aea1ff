// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The earliest look at a frame: packets of established flows go straight on,
 * and what is not a sane packet ends here, before the kernel spends an skb on
 * it.
 */
#include "lib/rewrite.h"
#include "lib/guard.h"
#define NGFW_TRACE_XDP
#include "lib/trace.h"

#define REASON_SHIFT 8			/* of a drop, above the action */
#define MISS_SHIFT 16			/* why it is not the short way, above XDP_PASS */

/* The short way, for a frame that is whole in its first buffer; or XDP_PASS and why not. */
static __always_inline int shortcut(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct config *c = element(&settings, 0);
	struct fast_watch *watch = element(&fast_watched, 0);
	struct ethhdr *eth = data;
	struct amount a = { .packets = 1 };
	struct glance g = {};
	struct route_taken r;
	struct fast *e;
	__u32 length = end - data;

	if (!c || !watch || !(c->fast & FAST_XDP) || (void *)(eth + 1) > end)
		return XDP_PASS | FAST_MISS_OFF << MISS_SHIFT;
	e = glance(data, end, eth->h_proto, length, &g);
	if (!e)
		return XDP_PASS | missed(&g) << MISS_SHIFT;
	a.bytes = g.bytes;
	/* Behind a packet there may be padding, which leaves with it. */
	if (!follow(e, FAST_XDP, c, watch, ctx->ingress_ifindex, eth, &g,
		    length - ETH_HLEN > ETH_ZLEN ? length - ETH_HLEN : g.bytes, a, &r))
		return XDP_PASS | g.miss << MISS_SHIFT;
	if (tracing())
		trace_fast_xdp(ctx);
	__builtin_memcpy(eth, r.way.macs, sizeof(r.way.macs));
	if (!(eth->h_proto == bpf_htons(ETH_P_IP) ? rewrite4(data, end, &r, g.tcp) : rewrite6(data, end, &r, g.tcp)))
		return XDP_ABORTED;	/* glance has seen to it */
	return bpf_redirect(r.way.ifindex_out, 0);
}

static __always_inline int dropped(__u32 reason)
{
	return reason == REASON_NONE ? XDP_PASS : XDP_DROP | reason << REASON_SHIFT;
}

/* What does not take the short way: its action, and the reason of a drop. */
static __always_inline int look(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct amount a;
	struct packet p;
	__u32 l3 = sizeof(*eth);
	__be16 proto;
	int i, tagged = 0;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;	/* not ours to judge: no Ethernet */
	a.packets = 1;
	a.bytes = bpf_xdp_get_buff_len(ctx);
	proto = eth->h_proto;
	for (i = 0; i < MAX_TAGS; i++) {
		struct vlan_header *v = data + l3;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(v + 1) > end) {
			__builtin_memset(&p, 0, sizeof(p));
			goto malformed;
		}
		proto = v->proto;
		l3 += sizeof(*v);
		tagged = LOOK_TAGGED;
	}
	i = parse(data, end, l3, proto, a.bytes, &p);
	if (i == PARSE_OTHER)
		return XDP_PASS;
	if (i != PARSE_MALFORMED)
		return dropped(unwanted(&p, ctx->ingress_ifindex, 1, tagged | (i == PARSE_OK ? LOOK_WHOLE : 0)));
malformed:
	/* Headers beyond the linear part of a multi-buffer frame: TC looks again.
	 * Addresses are not, or they are zero. */
	if (ctx->data_end - ctx->data < a.bytes)
		return dropped(unwanted(&p, ctx->ingress_ifindex, 1, tagged));
	count(&drops, REASON_MALFORMED, a, bpf_ktime_get_boot_ns());
	return dropped(REASON_MALFORMED);
}

SEC("xdp.frags")
int ngfw_xdp(struct xdp_md *ctx)
{
	__u32 way = shortcut(ctx), result;

	if ((way & 0xff) != XDP_PASS)
		return way;
	result = look(ctx);
	if (tracing())
		trace_xdp(ctx, result & 0xff, result >> REASON_SHIFT, way >> MISS_SHIFT);
	return result & 0xff;
}

char _license[] SEC("license") = "GPL";
