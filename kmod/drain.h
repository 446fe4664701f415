/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes under way are waited for, where there is no filesystem to freeze. */
#ifndef HCP_DRAIN_H
#define HCP_DRAIN_H

#include <linux/jiffies.h>
#include <linux/types.h>

struct hcp_origin;

#define HCP_DRAIN_LIMIT	(10 * HZ)	/* to do all that is in the queue of a disk */

int hcp_drain_may_begin(unsigned long deadline, const char **reason);
int hcp_drain(struct hcp_origin *origin, unsigned long deadline, bool *complete,
	      const char **reason);

#endif /* HCP_DRAIN_H */
