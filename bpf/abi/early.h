/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is looked at before the policy: drop lists and flood guards. Beside
 * abi.h, in the same sense; package droplist says what stands where in a table.
 */
#ifndef NGFW_EARLY_ABI_H
#define NGFW_EARLY_ABI_H

#include "abi.h"

/* Values of the port table: XDP has looked before TC does; the early zone, four bits. */
#define PORT_EARLY 0x800
#define PORT_EARLY_SHIFT 24

/*
 * Zones that lists or guards are bound to have numbers here, which they keep as
 * long as they are named, over policies and restarts. 0 is every other zone.
 */
#define EARLY_ZONES 16

/* References of a table of lists: the kind is in the lowest bits. */
#define LISTS_CONSTANT 0
#define LISTS_NARROW 1
#define LISTS_WIDE 2
#define LISTS_NODE 3
#define LISTS_NARROW_SLOTS 7
#define LISTS_WIDE_SLOTS 3
#define LISTS_DEPTH 29			/* nodes from a root, and the leaf */
#define LISTS_ROOTS 0			/* lines: where searches begin */
#define LISTS_COUNTERS 1		/* label → counter, a byte each */
#define LISTS_ZONES 1			/* and the early zone: as LISTS_ROOTS, for packets from there */
#define MAX_LISTS 64

struct lists_line {
	__u64 word[8];
};

struct list_name {
	char name[64];
};

#define LISTS_THERE 1			/* of early.lists: there is a table */
#define LISTS_ZONED 2			/* some lists are bound to zones */

/* A guard lets interval ns pass between two packets, and forgives burst ns. */
struct guard {
	__u64 interval;			/* 0: off */
	__u64 burst;
};

enum guards {
	GUARD_SOURCE = 0,		/* new flows of a source: IPv4 address, IPv6 /64 */
	GUARD_SYN = 1,			/* connections that begin, by interface */
	GUARD_MAX = 2,
};
#define GUARDS_ZONED 0x100		/* of early.guards: zones differ */

/* One element, written by the agent alone. */
struct early {
	__u32 lists;			/* LISTS_… */
	__u32 guards;			/* bit n: guard n is on somewhere; GUARDS_ZONED */
	struct guard guard[GUARD_MAX][EARLY_ZONES];
};

struct guard_key {
	__u64 hi, lo;			/* address, or interface */
	__u32 kind;
	__u32 zone;			/* early zone */
};

#endif
