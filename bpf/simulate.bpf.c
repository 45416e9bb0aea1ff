// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Asks the classifier that enforcement asks. Run by BPF_PROG_TEST_RUN with a
 * struct question as context; touches no counter, flow or ring.
 */
#include "lib/classify.h"

SEC("syscall")
int ngfw_simulate(struct question *q)
{
	struct work *w = element(&works, WORK_SIMULATE);

	if (!w)
		return 1;
	w->question = *q;
	judge(&w->question);
	*q = w->question;
	return 0;
}

char _license[] SEC("license") = "GPL";
