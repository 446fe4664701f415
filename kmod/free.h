/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which units of a hot copy were free at the frozen moment: a sorted, immutable array.
 * Its size follows the fragmentation, not the disk.
 */
#ifndef HCP_FREE_H
#define HCP_FREE_H

#include <linux/types.h>

#include "hcp_ioctl.h"

struct hcp_free_run {
	u64 first;	/* unit */
	u64 end;	/* one behind the last */
};

struct hcp_free {
	u64 nr_units;	/* in all runs */
	unsigned int nr;
	struct hcp_free_run run[];
};

struct hcp_free *hcp_free_new(const struct hcp_ioc_free *arg, sector_t nr_sectors,
			      const char **reason);
void hcp_free_destroy(struct hcp_free *free);
bool hcp_free_holds(const struct hcp_free *free, u64 unit, unsigned int *run);

#endif /* HCP_FREE_H */
