/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the packet programs and the Go side agree on: mark bits, drop reasons,
 * map keys and values. Package dataplane reads these structs by their BTF, so
 * every one has explicit padding and natural alignment. A change here raises
 * NGFW_ABI, which names the directory of pins.
 */
#ifndef NGFW_ABI_H
#define NGFW_ABI_H

#include <linux/types.h>

#define NGFW_ABI 8

/*
 * The packet mark. Ours are the upper 16 bits; the lower ones belong to others
 * and are kept.
 */
#define MARK_JUDGED	0x80000000u	/* passed the policy at ingress */
#define MARK_REPLY	0x40000000u	/* claims state: the backstop drops it if conntrack calls it new */
#define MARK_LEARN	0x20000000u	/* TC egress shall learn the flow's translated tuple */
#define MARK_REJECT	0x10000000u	/* refused: the backstop answers the sender */
#define MARK_TURN	(MARK_JUDGED | MARK_REJECT)	/* both: the source is masqueraded, as it leaves for where it came from */
#define MARK_INSPECT	0x08000000u	/* for the matcher's queue */
#define MARK_ZONE_SHIFT	21		/* judged egress zone, six bits */
#define MARK_ZONE_MASK	0x07e00000u
#define MARK_CLASS_SHIFT 16		/* QoS class, five bits */
#define MARK_CLASS_MASK	0x001f0000u
#define MARK_OURS	0xffff0000u

#define ZONE_NONE	0
#define ZONE_SELF	1
#define MAX_ZONES	64

/* The search trees of an image; policy.Line says what stands where. */
#define MAX_LEAF	4096		/* entries of the longest leaf */
#define TREE_DEPTH	24
#define TREE_NUMBER	8		/* of a forest */
#define NODE_PARTS	8
#define LEAF_ENTRIES	15
#define LINE_OPEN	0xffffffffu
#define REF_NODE	1		/* kinds of reference; 0 is a leaf */
#define REF_FOREST	2
#define REF_LONG	3
#define REF_KIND(ref)	((ref) >> 30)
#define REF_COUNT(ref)	((ref) >> 26 & 0xf)
#define REF_LINE(ref)	((ref) & 0x3ffffff)
#define KEY_WORDS	16		/* as many as the word of a node can name; 12 are used */
#define KEY_SOURCE	0
#define KEY_DESTINATION	4
#define KEY_SERVICE	11
#define ORDER_ACTION	3		/* bits of an entry's order */
#define ORDER_LOG	4
#define ORDER_CONDITIONAL 8		/* a condition's number stands in the decider's place */

#define LOCAL_NONE 0xffffffffu		/* minute of the week: none is known */
#define NOW_CLOCK (~0ULL)		/* time of a question: what the clock shows */
#define VALID_UNSET (1ULL << 32)	/* a verdict's validity: as long as there is no clock */
#define VALID_OVER (2ULL << 32)		/* no longer, whatever the clock says */

#define IMAGE_SLOTS	4
#define ACTIVE_SLOT	3		/* of config.active */
#define ACTIVE_SHIFT	2

/* Values of the port table: the zone, and whether frames have an Ethernet header. */
#define PORT_ZONE_MASK	0x3f
#define PORT_L3		0x100
#define PORT_NAT_SHIFT	16		/* NAT port: what NAT rules know of interfaces, eight bits */

enum action {
	ACTION_ACCEPT = 1,
	ACTION_DROP = 2,
	ACTION_REJECT = 3,
};

/* A decider is kind<<28 | id; policy.Decider has the same numbers. */
enum decider_kind {
	DECIDER_RULE = 1,
	DECIDER_POLICY = 2,
	DECIDER_DEFAULT = 3,
	DECIDER_SYSTEM = 4,
	DECIDER_NAT = 5,
	DECIDER_REASON = 6,
	DECIDER_TRANSLATION = 7,	/* counts alone: packets of flows that a NAT rule translates */
};
#define NEAR_RULES 16384		/* of rule_counters */
#define DECIDER(kind, id) (((__u32)(kind) << 28) | ((id) & 0x0fffffff))

enum system_rule {
	SYSTEM_NEIGHBOUR_DISCOVERY = 1,
	SYSTEM_MLD = 2,
	SYSTEM_DHCP_CLIENT = 3,
	SYSTEM_CLOUD = 4,
	SYSTEM_ICMP_ERROR = 5,
	SYSTEM_RESET = 6,		/* the router's own answer to a connection it refuses */
};

/* Why a packet was dropped without a rule or policy having said so. */
enum reason {
	REASON_NONE = 0,
	REASON_MALFORMED = 1,
	REASON_NO_ZONE = 2,
	REASON_NO_STATE = 3,
	REASON_WRONG_ZONE = 4,		/* an established flow's packet from another zone */
	REASON_EGRESS_ZONE = 5,		/* leaves by another zone than was judged */
	REASON_UNJUDGED = 6,		/* forwarded without having been judged */
	REASON_FLOW_TABLE_FULL = 7,
	REASON_FRAGMENT = 8,		/* a later fragment of a refused or unknown packet */
	REASON_NO_IMAGE = 9,		/* no policy loaded, or swapped away under a packet */
	REASON_POLICY = 10,		/* by rule, policy or default */
	REASON_FORGED = 11,		/* the way back to the source is by another zone */
	REASON_NAT = 12,		/* translated otherwise than judged */
	REASON_NAT_CHANGED = 13,	/* of a flow whose NAT rule is gone or changed */
	REASON_LISTED = 14,		/* on a drop list */
	REASON_SOURCE_FLOOD = 15,	/* too many new flows of its source */
	REASON_SYN_FLOOD = 16,		/* too many connections begin at its interface */
	REASON_THREAT = 17,		/* the matcher has blocked the flow */
	REASON_MAX = 32,
};

struct tuple {
	__u8 saddr[16];			/* IPv4 as ::ffff:a.b.c.d */
	__u8 daddr[16];
	__be16 sport;			/* ICMP: identifier */
	__be16 dport;			/* ICMP: type<<8 | code */
	__u8 proto;
	__u8 pad[3];
};

enum flow_flags {
	FLOW_REPLY_KNOWN = 1 << 0,	/* reply tuple is in the table */
	FLOW_NAT = 1 << 1,		/* reply is not simply orig reversed */
	FLOW_SEEN_REPLY = 1 << 2,
	FLOW_FIN_ORIG = 1 << 3,
	FLOW_FIN_REPLY = 1 << 4,
	FLOW_RST = 1 << 5,
	FLOW_CLOSED = 1 << 6,		/* FIN both ways or RST: close event sent */
	FLOW_CUT = 1 << 7,		/* ended by a changed policy */
	FLOW_ANNOUNCED = 1 << 8,	/* open event sent */
	FLOW_LOG = 1 << 9,
	FLOW_DNAT = 1 << 10,		/* to and to_port are its destination as judged */
	FLOW_TURN = 1 << 11,		/* leaves for where it came from: its source is translated */
};

struct flow {
	__u64 id;
	__u64 opened;			/* boot clock, ns */
	__u64 seen;
	__u64 checked;			/* when conntrack last vouched for it */
	__u64 packets[2];		/* orig, reply; wire packets */
	__u64 bytes[2];			/* IP lengths */
	__u64 revision;
	__u64 valid;			/* when the verdict holds: Unix seconds from | until<<32; 0: always */
	struct tuple orig;
	struct tuple reply;
	__u32 decider;
	__u32 flags;
	__u32 ifindex_in;		/* 0: the router itself */
	__u32 ifindex_out;
	__u8 zone_in;
	__u8 zone_out;
	__u8 smac[6];
	__u8 to[16];			/* the destination that rules see, where a NAT rule made it */
	__be16 to_port;
	__u8 codepoint;			/* DSCP of its last packet from inside; QoS alone reads it */
	__u8 rank;			/* of the device inside: abi/qos.h */
	__u32 nat[2];			/* NAT rules of its destination and its source, 0: none */
	__u32 priority;			/* NAT_PRIORITY… that tells nftables */
	__u64 pad[5];			/* whole cache lines */
};

#define FLOW_NUMBER_BITS 24		/* of an id, above the lowest */
#define FLOW_BLOCK 1024

/* Question of which flows there are, and answer. */
struct flow_scan {
	__u32 from;			/* number that it begins with; then: that it has come to */
	__u32 found;
	__u64 pad;			/* as long as an Ethernet header, at least */
};
#define SCANNED_FLOWS 512		/* at most by one question */

/* A line of the table of tuples; bpf/lib/tuples.h. */
#define TUPLE_PLACES 5
struct tuple_line {
	__u64 id[TUPLE_PLACES];		/* of flows; 0: free */
	__u32 tag[TUPLE_PLACES];	/* of a hash, whose upper half is the line's number */
	__u32 elsewhere;		/* tuples of this line that stand in one behind it */
};

/* Question to that table, and answer. */
struct tuple_led {
	struct tuple tuple;
	__u64 id;
	__u32 dir;			/* 0 orig, 1 reply */
	__u32 pad;
};

/* Refused packets are aggregated per source, decider and port for a second. */
struct refusal_key {
	__u8 saddr[16];
	__u32 decider;
	__be16 dport;
	__u8 proto;
	__u8 zone_in;
};

struct refusal {
	__u64 since;			/* boot clock, ns: start of the window */
	__u64 repeats;			/* after the first, which was an event */
	__u64 bytes;			/* of the repeats */
	__u64 revision;
	struct tuple last;
	__u32 decider;
	__u32 ifindex_in;
	__u32 ifindex_out;
	__u8 zone_in;
	__u8 zone_out;
	__u8 action;
	__u8 pad0;
	__u8 smac[6];
	__u8 pad1[2];
};

enum event_kind {
	EVENT_OPEN = 1,
	EVENT_CLOSE = 3,
	EVENT_REFUSED = 4,
};

/*
 * One record of the ring: a notice of a flow in the table, or of a refused packet
 * an event, which has its own flow.id.
 */
struct notice {
	__u32 kind;
	__u32 action;
	__u64 time;			/* boot clock, ns */
	__u64 id;
};

struct event {
	__u32 kind;
	__u32 action;
	__u64 time;
	struct flow flow;
};

struct counter {
	__u64 packets;
	__u64 bytes;
	__u64 last;			/* boot clock, ns */
	__u64 pad;			/* none lies in two cache lines */
};

/* The image's tables; see policy.Image. */
struct verdict {
	__u32 decider;
	__u8 action;
	__u8 log;
	__u8 pad[2];
};

struct pair {
	__u32 tree4, tree6;		/* references to lines */
	struct verdict fallback;
};

struct line {
	__u32 word[16];
};

struct address {
	__u64 hi, lo;			/* host order */
};

struct image {
	__u64 revision;
	__u32 zones;
	__u32 system;			/* bit n: system rule n holds */
	/* Lines behind the trees; see policy/condition.go, policy/clock.go. */
	__u32 conditions;
	__u32 offsets, offset_count;
	__u32 edges, edge_count;
	__u32 pad;
};

/* One element, written by the agent alone. */
struct config {
	/*
	 * The active image: revision<<2 | slot, 0 for none. One word, so that a
	 * packet never takes one image for another's revision.
	 */
	__u64 active;
	__u64 clock_base;		/* Unix ns at boot clock 0, fixed at first load: seeds flow ids */
	__u8 cloud_addr[16];		/* the agent's own connection: system rule "cloud" */
	__be16 cloud_port;
	__u16 fast;			/* forms of the fast path that may be used: FAST_* */
	__s16 tai_ahead;		/* what the kernel's TAI clock is ahead of UTC, s */
	__u16 clock_set;		/* the clock can be believed */
	__u32 epoch;			/* 16 bits: when it changes, every way of the fast path ends */
	__u32 instance;			/* random, fixed at first load; with clock_base it names these maps */
	__u64 secret;			/* random, fixed at first load: of the table of tuples */
};

enum stat {
	STAT_PACKETS = 0,
	STAT_BYTES = 1,
	STAT_EVENTS_LOST = 2,
	STAT_FLOWS_OPENED = 3,
	STAT_ADOPTED = 4,		/* flows taken over from conntrack */
	STAT_REJUDGED = 5,
	STAT_NO_COUNTER = 6,		/* a decider without a counter: a bug */
	STAT_LEARN_FAILED = 7,
	STAT_MAX = 8,
};

/* The classifier's own, the way of one key through the trees: too large for the stack. */
struct search {
	__u32 key[KEY_WORDS];
	__u32 order;			/* of the first match so far */
	__u32 decider;
	__u32 v6;
	__u32 torn;			/* a table was swapped away: no answer is better than a wrong one */
	__u32 local;			/* minute of the week, once it is asked for */
	__u32 timed;			/* the answer depends on the time */
};

/* What NAT makes of a packet. */
struct nat {
	__u32 rule;			/* of its destination, 0: none */
	__u32 source_rule;
	__u16 number;			/* of the target */
	__u16 flags;			/* NAT_* of abi/nat.h; NAT_MASQUERADE is of the source */
};

/* Question to and answer of the classifier; simulation asks the same. */
struct question {
	struct address src, dst;
	__u16 port;			/* host order; ICMP type<<8 | code */
	__u16 sport;			/* host order; 0 without ports */
	__u8 proto;
	__u8 v6;			/* what the header says */
	__u8 zone_in, zone_out;
	__u32 slot;
	__u8 nat_in, nat_out;		/* NAT ports of the interfaces */
	__u8 pad[2];
	__u64 mac;			/* the frame's source as a number, 0: none */
	__u64 now;			/* Unix seconds, 0: unknown; NOW_CLOCK */
	__u64 valid;			/* the answer's, as in struct flow */
	struct verdict verdict;		/* the answer; action 0: no image */
	struct nat nat;			/* the answer; dst and port are the translated ones then */
	__u32 pad2;
	struct search search;
};

#endif
