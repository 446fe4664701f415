/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An origin: a device with hot copies.  It lives from the first to the last of them.
 *
 * Lock order: s_umount of what is frozen > hcp_control_lock > cow_lock > region_lock >
 * store->lock.  pending_lock, ready_lock and chain_lock are leaves, and taken with no
 * region lock held.  None is taken in interrupt context: what completes there goes
 * through an llist to a worker.
 */
#ifndef HCP_ORIGIN_H
#define HCP_ORIGIN_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/llist.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "hcp_ioctl.h"
#include "map.h"

#define HCP_REGION_LOCKS	64	/* a power of two */
#define HCP_BATCHES		2	/* writes to the store under way at once */

struct hcp_batch;
struct hcp_chain;
struct hcp_snap;
struct hcp_store;

struct hcp_origin {
	/* fixed from creation on */
	unsigned int slot;		/* the order in which a bio visits origins */
	struct file *file;
	struct block_device *bdev;
	struct gendisk *disk;
	sector_t start;			/* on the whole disk */
	sector_t nr_sectors;
	struct hcp_store *store;
	unsigned int block_size;	/* of its hot copies: origin and store can both do it */
	unsigned int dma_alignment;	/* mask, so, too */
	struct workqueue_struct *wq;	/* nothing on it waits for anything else on it */

	struct list_head node;		/* of hcp_origins; hcp_control_lock */
	bool tracked;			/* hcp_control_lock */
	unsigned int nr_snaps;		/* dead ones too; hcp_control_lock */

	struct hcp_chain __rcu *chain;	/* written under @chain_lock */
	spinlock_t chain_lock;

	/* the maps of all its hot copies, hashed by region */
	spinlock_t region_lock[HCP_REGION_LOCKS];
	atomic_t region_let_go[HCP_REGION_LOCKS];	/* grows when a write is let go */

	/* stolen writes, until the old data is safe */
	spinlock_t pending_lock;
	struct bio_list pending;	/* @pending_lock: not looked at yet */
	struct bio_list starved;	/* @pending_lock: their copies need memory */
	struct delayed_work cow_work;
	struct mutex cow_lock;		/* held while one stolen write is looked at */
	struct bio_list reads;		/* of copies, not submitted yet; cow_work only */
	bool no_around;			/* it has bad sectors: only what is needed; read anywhere */
	bool held;			/* no write is let go for now; read anywhere */
	unsigned long short_seen;	/* jiffies, 0: memory is not short; cow_work only */
	unsigned long short_for;	/* jiffies: so long was it seen to be; cow_work only */
	unsigned long progress;		/* jiffies: when a copy was last done with */

	/* copies: read, then stored in batches */
	struct bio_set copy_bios;
	mempool_t page_pool;
	struct llist_head read_done;	/* struct hcp_copy */
	struct work_struct read_work;
	spinlock_t ready_lock;
	struct list_head ready;		/* struct hcp_copy; @ready_lock */
	unsigned int ready_units;	/* @ready_lock */
	unsigned long ready_since;	/* @ready_lock: jiffies of the oldest */
	bool hurry;			/* store at once, memory is short or the end is near */
	struct hcp_batch *batch[HCP_BATCHES];
	unsigned long batch_busy;	/* bit n: batch[n] is under way; atomic bit operations */
	struct delayed_work store_work;
	struct llist_head batch_done;	/* struct hcp_batch */
	struct llist_head dropped;	/* struct hcp_copy */
	struct work_struct batch_work;
	atomic_t nr_copies;		/* wait_var_event() */
	atomic_t units_in_flight;

	struct bio_set discard_bios;
	atomic_t nr_discards;		/* pieces under way; wait_var_event() */
};

extern struct mutex hcp_control_lock;	/* creation, removal, listing */
extern struct list_head hcp_origins;

static inline unsigned int hcp_region_bucket(u64 unit)
{
	return hcp_region_index(unit) & (HCP_REGION_LOCKS - 1);
}

static inline spinlock_t *hcp_region_lock(struct hcp_origin *origin, u64 unit)
{
	return &origin->region_lock[hcp_region_bucket(unit)];
}

/* Whether these sectors of @disk touch the origin; the overlap, in its own sectors. */
static inline bool hcp_origin_clip(const struct hcp_origin *origin,
				   const struct gendisk *disk, sector_t sector,
				   sector_t nr_sectors, sector_t *first, sector_t *end)
{
	if (origin->disk != disk || sector >= origin->start + origin->nr_sectors ||
	    sector + nr_sectors <= origin->start)
		return false;
	*first = max(sector, origin->start) - origin->start;
	*end = min(sector + nr_sectors, origin->start + origin->nr_sectors) -
	       origin->start;
	return true;
}

struct hcp_origin *hcp_origin_find(const struct block_device *bdev);
struct hcp_origin *hcp_origin_new(struct file *file, const struct hcp_ioc_origin *arg,
				  const char **reason);
int hcp_origin_grow(struct hcp_origin *origin, struct hcp_ioc_grow *arg, const char **reason);
void hcp_origin_free(struct hcp_origin *origin);

#endif /* HCP_ORIGIN_H */
