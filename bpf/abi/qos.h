/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How the agent tells the packet programs which class a packet is of. Beside
 * abi.h, in the same sense. There are two tables of each kind; the word in
 * qos_state says which one counts, so a swap is one store.
 */
#ifndef NGFW_QOS_ABI_H
#define NGFW_QOS_ABI_H

#include "abi.h"

/* The word in qos_state: 0, or 1 + the number of the table in force. */
#define QOS_SLOTS 2

#define QOS_CODEPOINTS 64
#define QOS_APPS 256
#define QOS_RANKS 16			/* 0: none, else 1 + a device's priority */
#define QOS_TCP 0			/* rows of ports */
#define QOS_UDP 1

/* A class is a number from 1; the lowest of those that a packet matches counts. */
struct qos_table {
	__u8 codepoint[QOS_CODEPOINTS];
	__u8 app[QOS_APPS];		/* as the matcher has found */
	__u8 rest[QOS_RANKS];		/* what matches none, by its device's rank; never 0 */
	__u32 apps;			/* some application has a class */
	__u8 port[2][65536];		/* destination port of the flow's first packet */
};

/* A link that is shaped, or a port behind which limited devices are. */
#define QOS_UPLINK 1
#define QOS_INSIDE 2

struct qos_link {
	__u32 kind;
	__u32 divert;			/* interface that shapes what arrives; 0: none */
};

struct qos_device_key {
	__u8 mac[6];
	__u8 slot;
	__u8 pad;
};

struct qos_device {
	__u8 rank;
	__u8 upload, download;		/* has a limit */
	__u8 pad;
	__u32 number;			/* of its class of the device stage */
};

/*
 * Minor numbers of HTB classes: of each table its own, so that a new tree stands
 * beside the old until the swap.
 */
#define QOS_MAJOR 0x6e67u		/* "ng" */
#define QOS_MINOR(slot, number) (((slot) + 1) << 12 | (number))
#define QOS_CLASSID(slot, number) (QOS_MAJOR << 16 | QOS_MINOR(slot, number))

#endif
