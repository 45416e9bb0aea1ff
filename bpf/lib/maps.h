/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The maps. All are pinned by the Go side, so that they outlive the agent.
 * The image of a policy is a set of tables per slot; settings.slot names the
 * active one, so a swap is one store and a packet sees one image throughout.
 */
#ifndef NGFW_MAPS_H
#define NGFW_MAPS_H

#include "../abi/abi.h"
#include "../abi/trace.h"
#include "kernel.h"
#include "parse.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} settings SEC(".maps");

/* The tables of an image: an outer map each, indexed by slot. */
struct meta_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct image);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, IMAGE_SLOTS);
	__type(key, __u32);
	__array(values, struct meta_table);
} image_meta SEC(".maps");

/* ifindex → PORT_*: zone and kind of each interface that has our programs */
struct port_table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, IMAGE_SLOTS);
	__type(key, __u32);
	__array(values, struct port_table);
} image_ports SEC(".maps");

/* from * MAX_ZONES + to */
struct pair_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_ZONES * MAX_ZONES);
	__type(key, __u32);
	__type(value, struct pair);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, IMAGE_SLOTS);
	__type(key, __u32);
	__array(values, struct pair_table);
} image_pairs SEC(".maps");

/* clang emits no full type for what only an inner map's definition names. */
const struct line *line_type __attribute__((unused));
const struct pair *pair_type __attribute__((unused));
const struct image *meta_type __attribute__((unused));

/* Mappable, because its elements then begin at a page: a line is a cache line. */
struct line_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE); /* images differ in size */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, IMAGE_SLOTS);
	__type(key, __u32);
	__array(values, struct line_table);
} image_lines SEC(".maps");

/* decider → counts */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 262144); /* a policy's rules, and those of the one before */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

/*
 * What the rules with numbers below NEAR_RULES have counted, each CPU in a part of
 * its own: a hash table of per-CPU values is three places in memory, one after the
 * other, the kernel's array of them two, and a new flow's rule is seldom the last
 * one's. counters has their deciders, at zero. Mappable, because its elements then
 * begin at a page. The agent makes it as large as there are CPUs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NEAR_RULES);
	__type(key, __u32);
	__type(value, struct counter);
} rule_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASON_MAX);
	__type(key, __u32);
	__type(value, struct counter);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STAT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct refusal_key);
	__type(value, struct refusal);
} refusals SEC(".maps");

/* The router's own fragmented packets: the first fragment's verdict. */
struct fragment_key {
	__u8 saddr[16];
	__u8 daddr[16];
	__u32 id;
	__u32 proto;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct fragment_key);
	__type(value, __u64);
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/*
 * Written by the agent alone: what it has already told of a flow. It is a map,
 * so that the knowledge survives the agent.
 */
struct report {
	__u64 packets[2];
	__u64 bytes[2];
	__u32 flags;			/* FLOW_* at that time */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct report);
} told SEC(".maps");

/* What a packet amounts to on the wire: a GSO packet is its segments. */
struct amount {
	__u64 packets, bytes;
};

/*
 * One packet's way through a program. It is kept in a map because the stack is
 * small, and because functions that take it by reference are verified once,
 * each for itself.
 */
struct work {
	struct packet packet;
	struct amount amount;
	__u64 now;			/* boot clock, ns */
	__u64 revision;			/* of the image in slot */
	__u32 slot;
	__u32 ifindex;
	__u32 port;			/* PORT_* of the interface */
	__u32 zone;			/* of the interface, or SELF for the router's own packets */
	__u32 dir;			/* of the packet in its flow */
	__u32 closing;			/* conntrack: a TCP connection past its end */
	struct fragment_key fragment;
	__u8 neighbour[8];		/* MAC address of the way last looked up; 0: unknown */
	__u32 way;			/* its interface */
	__u32 cut;			/* this packet's flow was cut just now */
	struct tuple orig, reply;	/* conntrack's */
	struct tuple tuple;		/* for one lookup */
	struct flow flow;		/* what the packet would open */
	struct nat nat;			/* what translates its destination */
	struct question question;
	/* What a trace tells: written as it happens, read by nothing else. */
	__u32 path;			/* trace_path */
	__u32 reason;			/* of a drop */
	__u32 miss;			/* fast_miss, while a trace runs */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);		/* programs may nest on one CPU */
	__type(key, __u32);
	__type(value, struct work);
} works SEC(".maps");

#define WORK_INGRESS 0
#define WORK_EGRESS 1
#define WORK_SIMULATE 2

static __always_inline void *element(void *map, __u32 i)
{
	return bpf_map_lookup_elem(map, &i);
}

/*
 * A packet program's own work, as the map's: from what a function was handed
 * Linux before 6.2 takes neither keys nor values.
 */
static __always_inline struct work *of_map(const struct work *w)
{
	struct work *own = element(&works, WORK_INGRESS), *same = own;

	/* Or the compiler, finding them the same, goes on with w. */
	asm volatile("" : "+r"(same));
	return same == w ? own : element(&works, WORK_EGRESS);
}

#endif
