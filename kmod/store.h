/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store of an origin: space in a file (beneath its filesystem), handed out in
 * units of HCP_UNIT_SIZE.  Store units are numbered from 0 in device order.
 */
#ifndef HCP_STORE_H
#define HCP_STORE_H

#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "hcp_ioctl.h"

struct hcp_store_run {
	u64 unit;		/* the first store unit of the run */
	sector_t sector;	/* where it is on the store's device */
	u64 nr_units;
};

struct hcp_store {
	/* fixed from creation on */
	struct file *file;		/* the store's file, marked S_SWAPFILE */
	struct file *bdev_file;
	struct block_device *bdev;
	struct hcp_store_run *run;	/* sorted by unit, and so by sector */
	unsigned int nr_runs;
	u64 nr_units;

	spinlock_t lock;
	unsigned long *used_map;	/* @lock: a bit for each unit */
	u64 nr_used;			/* @lock */
	u64 cursor;			/* @lock: where to look for space next */
	struct list_head node;		/* of all stores; RCU, written under hcp_control_lock */
	struct rcu_head rcu;
};

struct hcp_store *hcp_store_open(const struct hcp_ioc_segment *segment,
				 const char **reason);
void hcp_store_close(struct hcp_store *store);

u64 hcp_store_alloc(struct hcp_store *store, unsigned int want, unsigned int *got);
void hcp_store_free(struct hcp_store *store, u64 unit, u64 count);
u64 hcp_store_used(struct hcp_store *store);
sector_t hcp_store_sector(const struct hcp_store *store, u64 unit, unsigned int *run);
bool hcp_store_overlaps(const struct hcp_store *store, const struct gendisk *disk,
			sector_t start, sector_t nr_sectors);
bool hcp_store_holds(const struct gendisk *disk, sector_t sector, sector_t nr_sectors,
		     sector_t *same);

#define HCP_STORE_FULL	(~0ULL)

#endif /* HCP_STORE_H */
