/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which units of the origin were written while a hot copy was the newest: a bitmap for
 * each region of the map that was written to.  What changed since an older hot copy is
 * the union of its own and of those of all newer ones.
 *
 * Locking: the region's lock, but for hcp_changed_init(), _reserve() and _destroy().
 */
#ifndef HCP_CHANGED_H
#define HCP_CHANGED_H

#include <linux/bitmap.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "map.h"

struct hcp_origin;
struct hcp_snap;

struct hcp_changed {
	struct xarray regions;	/* unit >> HCP_REGION_SHIFT -> struct hcp_written, or all */
	bool lost;		/* memory was short: it is not complete */
};

/* The written units of a region. */
struct hcp_written {
	DECLARE_BITMAP(units, HCP_REGION_UNITS);
};

void hcp_changed_init(struct hcp_changed *changed);
void hcp_changed_destroy(struct hcp_changed *changed);
void hcp_changed_reserve(struct hcp_changed *changed, unsigned long index, gfp_t gfp);
bool hcp_changed_mark(struct hcp_changed *changed, u64 unit, unsigned int count);
bool hcp_changed_has_room(struct hcp_changed *changed, unsigned long index);
unsigned int hcp_changed_weight(struct hcp_changed *changed, unsigned long index);
void hcp_changed_merge(struct hcp_origin *origin, struct hcp_changed *from,
		       struct hcp_changed *to);
void hcp_changed_union(struct hcp_changed *changed, unsigned long index,
		       struct hcp_written *written);
bool hcp_changed_next(struct hcp_changed *changed, unsigned long *index);

#endif /* HCP_CHANGED_H */
