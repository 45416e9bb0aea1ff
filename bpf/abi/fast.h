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
 * Where a packet goes. It counts only if seq was even before it is read and is
 * the same after; so do struct fast_nat and fast_nat6.
 */
struct fast_way {
	__u64 active;			/* config.active and epoch that it holds under; 0: none */
	__u32 seq;
	__u32 until;			/* tick: unused from then on */
	__u32 ifindex_in, ifindex_out;
	__u8 macs[12];			/* destination and source as it leaves */
	__u8 mac_in[6];			/* destination as it arrives: ours */
	__u16 mtu;
	__u8 form;			/* FAST_XDP or FAST_TC, FAST_REWRITE */
	__u8 zone;			/* that it leaves for */
	__u8 rx;			/* XDP sees this direction's checksums whole */
	__u8 dir;			/* of the packets in their flow */
};
#define FAST_REWRITE 4
#define FAST_WATCHED 8		/* the highest: learnt to hold for as long as changes are told of */

/* What the agent tells of what ways depend on, while it watches. */
struct fast_watch {
	__u32 until;			/* tick: nobody watches from then on */
	__u32 changes;			/* each ends every way */
	__u32 hz;			/* the kernel's jiffies a second; 0: nobody has said */
	__u32 rest;			/* s that conntrack keeps a connection at rest; 0: nobody has said */
};

/* Which packets an entry is for: their tuple, the addresses' lower halves first. */
struct fast_key {
	__u64 src, dst;
	__be16 sport, dport;
	__u8 proto;			/* 0: the entry is free */
	__u8 v4;			/* what follows is no part of the key, but struct fast_nat */
	__u8 taken;			/* of a free one: it was not always free */
	__u8 pad;
	__u64 net[2];			/* the addresses' upper halves */
};

/* IPv4 as it leaves; an IPv4 address's upper half tells nothing. */
struct fast_nat {
	__be32 saddr, daddr;
	__be16 sport, dport;
	__u16 address_sum, port_sum;	/* what they add to checksums (RFC 1624) */
};

/* IPv6 as it leaves, beside the entry of the same number. */
struct fast_nat6 {
	__u64 saddr[2], daddr[2];
	__be16 sport, dport;
	__u16 address_sum, port_sum;
};

/*
 * Two cache lines that are one fetch to most processors, found from the entry's
 * number alone. What every packet writes is in the first.
 */
struct fast {
	struct fast_key key;
	__u64 count;			/* not added to the flow yet: packets, FAST_BYTES_BITS of bytes */
	__u32 ack;			/* TCP: what this direction acknowledged last */
	__u32 end;			/* TCP: up to where it has sent */
	__u32 due;			/* tick: the next packet goes the long way */
	__u32 last;			/* tick of the last packet */
	struct fast_way way;
	__u32 decider;
	__u32 asked;			/* tick of the last attempt to learn the way */
	__u64 id;			/* of the flow */
};
/* At 2^23 packets an entry is full, long before its bytes are. */
#define FAST_BYTES_BITS 40

/*
 * How many entries have their first place here, so that a packet without one need
 * not look there: four bits a place, since they stand in FAST_PLACES places.
 */
#define FAST_HOMES 16			/* places of a word */

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
