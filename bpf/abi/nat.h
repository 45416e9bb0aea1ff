/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The NAT table of an image, policy.NATTable in the programs' form. Beside
 * abi.h, in the same sense.
 */
#ifndef NGFW_NAT_ABI_H
#define NGFW_NAT_ABI_H

#include "abi.h"

#define NAT_BOXES 4096			/* of a step: the destination's come first */
#define NAT_TRIES 16

/* Of struct nat_box. */
#define NAT_ANY_PROTOCOL 0x01
#define NAT_HAIRPIN 0x02		/* where it turns, its source is translated too */
#define NAT_ACCEPT 0x04
#define NAT_LOG 0x08
#define NAT_MASQUERADE 0x10
#define NAT_V6 0x20
#define NAT_NOT_MACS 0x40

#define NAT_LIST_BITS 18		/* a list in an image's lines has less than 2^18 elements */

enum nat_turn {
	NAT_EITHER = 0,
	NAT_TURNING = 1,		/* would leave for the zone it came from */
	NAT_PASSING = 2,
};

enum nat_ports {
	NAT_KEEP = 0,
	NAT_ONE = 1,
	NAT_SHIFT = 2,
	NAT_POOL = 3,
};

/* A sorted list in lines; none without elements. policy/nat_list.go says how they stand. */
struct nat_list {
	__u32 first, count;
};

struct nat_box {
	struct address src_lo, src_hi, dst_lo, dst_hi;
	struct address to, last, host;	/* host: bits of the old address that stay */
	__u16 sport_lo, sport_hi, port_lo, port_hi;	/* host order */
	__u16 to_port, last_port, from_port, number;
	__u32 rule;
	__u8 proto, port;		/* NAT port that it arrives or leaves by; 0: any */
	__u8 turn, ports;
	__u32 flags;
	__u32 told;			/* of the source: what nftables is told, 0: it sees by itself */
	struct nat_list sources, destinations, macs;
};

/* One element of an image. */
struct nat_meta {
	__u32 destinations, sources;	/* boxes */
	__u32 trees[4];			/* of the destination for IPv4, IPv6, of the source */
	__u64 masquerade;		/* zones, a bit each */
	__u32 generation;
	__u32 tells;			/* some box of the source has told */
};

/*
 * The packet's priority tells nftables, which sees it next, what is decided that
 * it cannot see: the upper four bits mark it as ours, below are the table's
 * generation, what it is told about the source, which it keeps in conntrack's
 * labels until the packet leaves, and the number of the destination's target.
 * Forwarding writes the priority anew.
 */
#define NAT_PRIORITY 0x40000000u
#define NAT_GENERATION_SHIFT 20		/* eight bits */
#define NAT_TOLD_SHIFT 12		/* eight bits */
#define NAT_NUMBER_MASK 0xfffu

#endif
