/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the fast path keeps of a flow: an entry for each direction, under the
 * tuple that its packets arrive with. Beside abi.h, in the same sense.
 */
#ifndef NGFW_FAST_ABI_H
#define NGFW_FAST_ABI_H

#include "abi.h"

/* Bits of config.fast: which forms of the fast path may be used. */
#define FAST_XDP 1
#define FAST_TC 2

/* Values of the port table: what the agent has found out about the port. */
#define PORT_XDP_RX 0x200	/* XDP sees whole checksums here */
#define PORT_XDP_TX 0x400	/* takes frames that XDP redirects */

/*
 * Where a packet goes and as what. One cache line, read as a whole: it counts
 * only if seq was even before and is the same after.
 */
struct fast_way {
	__u64 active;			/* config.active and epoch that it holds under; 0: none */
	__u32 seq;
	__u32 until;			/* tick: unused from then on */
	__u32 ifindex_in, ifindex_out;
	__u8 macs[12];			/* destination and source as it leaves */
	__u8 mac_in[6];			/* destination as it arrives: ours */
	__u16 mtu;
	__be32 saddr, daddr;		/* IPv4 as it leaves */
	__be16 sport, dport;
	__u16 address_sum, port_sum;	/* what they add to checksums (RFC 1624) */
	__u16 form;			/* FAST_XDP or FAST_TC, FAST_REWRITE */
	__u8 zone;			/* that it leaves for */
	__u8 rx;			/* XDP sees this direction's checksums whole */
};
#define FAST_REWRITE 0x100

/*
 * Three cache lines, each found from the entry's number alone: which packets it
 * is for and how many came, where they go, and what is seldom or TCP's.
 */
struct fast {
	struct tuple key;		/* as packets arrive; protocol 0: free */
	__u64 packets, bytes;		/* not added to the flow yet */
	__u32 due;			/* tick: the next packet goes the long way */
	__u32 last;			/* tick of the last packet */
	struct fast_way way;
	__u64 id;			/* of the flow */
	__u32 decider;
	__u16 dir;
	__u16 tcp;
	__u32 asked;			/* tick of the last attempt to learn the way */
	__u32 ack;			/* TCP: what this direction acknowledged last */
	__u32 end;			/* TCP: up to where it has sent */
	__u32 pad[9];
};

enum fast_stat {
	FAST_STAT_PACKETS = 0,
	FAST_STAT_BYTES = 1,
	FAST_STAT_LEARNED = 2,		/* ways learnt, renewals not counted */
	FAST_STAT_FULL = 3,		/* flows that found no room */
	FAST_STAT_MAX = 4,
};

/* What a run of the collector found. */
struct fast_census {
	__u64 entries, removed;
};

#endif
