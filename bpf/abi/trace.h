/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a trace asks for and is told. Beside abi.h, in the same sense, but
 * nothing of it is pinned: a trace ends with the process that asked for it.
 */
#ifndef NGFW_TRACE_ABI_H
#define NGFW_TRACE_ABI_H

#include "abi.h"

struct trace_side {
	__u8 address[16];		/* IPv4 as ::ffff:a.b.c.d, as in tuples */
	__u8 mask[16];			/* all zero: any */
};

#define TRACE_BOTH 1			/* of trace.flags: the flow's other direction, too */

/* One element. Written by the agent, but for until, empty, skipped and lost. */
struct trace {
	__u64 until;			/* boot clock, ns; 0: there is no trace */
	__u64 interval, burst;		/* ns: how often records may come, as struct guard */
	__u64 empty;			/* the guard's state */
	__u64 skipped;			/* records that came too often */
	__u64 lost;			/* found the ring full */
	__u64 seed;			/* hides addresses of packets */
	struct trace_side host;		/* either end */
	struct trace_side src, dst;
	__u32 ifindex;			/* that packets arrive or leave by; 0: any */
	__be16 sport, dport;		/* 0: any */
	__be16 port;			/* of either end; 0: any */
	__u8 proto;			/* 0: any */
	__u8 flags;
	__u32 pad;
};

enum trace_hook {
	TRACE_XDP = 1,
	TRACE_INGRESS = 2,
	TRACE_EGRESS = 3,
};

/* How a program came to its verdict. */
enum trace_path {
	PATH_NONE = 0,			/* it did not get as far */
	PATH_NEW = 1,			/* the first packet of a flow */
	PATH_KNOWN = 2,			/* of a flow in the table */
	PATH_ADOPTED = 3,		/* of a flow that conntrack knows */
	PATH_ERROR = 4,			/* an ICMP error */
	PATH_FRAGMENT = 5,		/* a later fragment */
	PATH_FORWARDED = 6,		/* egress: judged at ingress */
	PATH_FAST = 7,			/* redirected */
	PATH_OTHER = 8,			/* not IP: not judged */
};
#define PATH_REJUDGED 0x100		/* beside: the flow met another policy, or its schedule turned */

/* Why a packet did not take the fast path. */
enum fast_miss {
	FAST_MISS_NONE = 0,		/* not asked */
	FAST_MISS_OFF = 1,
	FAST_MISS_NOT_PLAIN = 2,
	FAST_MISS_UNKNOWN = 3,		/* no way is learnt */
	FAST_MISS_FORM = 4,		/* there is one, of the other form */
	FAST_MISS_STALE = 5,		/* of another policy, or ended */
	FAST_MISS_PORT = 6,		/* learnt from another port or MAC address */
	FAST_MISS_EXPIRED = 7,
	FAST_MISS_MTU = 8,
	FAST_MISS_DUE = 9,		/* the packet of the second */
	FAST_MISS_RACE = 10,		/* the way was written meanwhile */
	FAST_MISS_NUMBERS = 11,		/* TCP's are far from those before */
};

struct trace_record {
	__u64 time;			/* boot clock, ns */
	__u64 packet;			/* the same at ingress and egress; 0: unknown (XDP) */
	__u64 flow;			/* id, 0: none */
	__u64 revision;
	__u8 hook, miss;		/* trace_hook, fast_miss */
	__u16 path;			/* trace_path */
	__u32 result;			/* what the program answered */
	__u32 reason;			/* enum reason, if it dropped the packet */
	__u32 mark;
	__u32 ifindex_in, ifindex_out;	/* 0: the router itself, or unknown */
	__u32 decider;
	__u32 nat[2];
	__u32 bytes;			/* IP length */
	__u32 packets;			/* on the wire */
	__u32 flags;			/* packet_flags */
	__u32 flow_flags;
	__u8 action;			/* of the verdict; 0: none was needed */
	__u8 dir;			/* in its flow */
	__u8 zone_in, zone_out;		/* of the flow */
	__u8 smac[6];
	__be16 to_port;
	__u8 to[16];			/* destination that a NAT rule made, with FLOW_DNAT */
	struct tuple tuple;		/* as it is here; at egress as it leaves */
	struct tuple after;		/* fast path: as it leaves */
	struct tuple orig;		/* its flow's */
	__u32 cpu;
	__u16 vlan;			/* of the frame's outer tag, at XDP; 0: none */
	__u16 pad;
};

#endif
