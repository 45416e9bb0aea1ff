/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the matcher and the packet programs tell each other. Beside abi.h, in the
 * same sense.
 */
#ifndef NGFW_INSPECT_ABI_H
#define NGFW_INSPECT_ABI_H

#include "abi.h"

/* Flags of struct flow: what the matcher said of it, for good. */
#define FLOW_BYPASS (1u << 24)		/* needs no more inspection */
#define FLOW_BLOCKED (1u << 25)		/* what follows is dropped */

/* The element of inspection: written by the agent. */
struct inspection {
	__u32 on;			/* forwarded flows go to the queue */
	__u32 chosen;			/* only those with a port that has PORT_INSPECT */
};

#endif
