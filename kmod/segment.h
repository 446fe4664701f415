/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A segment of a store: space in a file (beneath its filesystem) or on a block device
 * of its own, as runs of units that no hot copy needs.
 */
#ifndef HCP_SEGMENT_H
#define HCP_SEGMENT_H

#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/types.h>

#include "hcp_ioctl.h"

struct hcp_origin;

struct hcp_run {
	u64 unit;		/* the first unit of the run, within the segment */
	sector_t sector;	/* where it is on the segment's device */
	u64 nr_units;
};

struct hcp_segment {
	/* fixed from opening on */
	struct file *file;		/* marked S_SWAPFILE; or the block device itself */
	struct file *bdev_file;
	struct block_device *bdev;
	struct hcp_run *run;		/* sorted by unit, and so by sector */
	unsigned int nr_runs;
	u64 nr_units;
	bool claimed;			/* the file is marked by us */
	bool listed;			/* in the list of all segments */

	u64 base;			/* its first unit in the store; fixed once in it */
	unsigned long *used_map;	/* store->lock: a bit for each unit */
	u64 nr_used;			/* store->lock */
	u64 cursor;			/* store->lock: where to look for space next */

	struct list_head node;		/* of all segments; RCU, written under hcp_control_lock */
};

struct hcp_segment *hcp_segment_open(u64 user_segment, const struct hcp_origin *origin,
				     const char **reason);
void hcp_segment_unlist(struct hcp_segment *segment);
void hcp_segment_close(struct hcp_segment *segment);
sector_t hcp_segment_sector(const struct hcp_segment *segment, u64 unit, unsigned int *run);
const struct hcp_run *hcp_segment_run(const struct hcp_segment *segment, u64 unit);
bool hcp_segments_hold(const struct gendisk *disk, sector_t sector, sector_t nr_sectors,
		       sector_t *same);

#endif /* HCP_SEGMENT_H */
