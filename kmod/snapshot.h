/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hot copy: /dev/hcpN. */
#ifndef HCP_SNAPSHOT_H
#define HCP_SNAPSHOT_H

#include <linux/bio.h>
#include <linux/mempool.h>
#include <linux/workqueue.h>

#include "changed.h"
#include "free.h"
#include "hcp_ioctl.h"
#include "map.h"

struct hcp_chain;
struct hcp_origin;

struct hcp_snap {
	/* fixed from creation on */
	struct hcp_origin *origin;
	unsigned int minor;		/* N of /dev/hcpN */
	bool read_only;
	sector_t nr_sectors;
	struct gendisk *disk;
	bool disk_added;
	u64 sequence;
	u64 created_ns;
	u64 frozen_ns;
	char path[HCP_PATH_LEN];
	char store_path[HCP_PATH_LEN];
	unsigned int floor_percent;	/* for the keeper */

	struct list_head node;		/* of hcp_snaps, by minor; hcp_control_lock */
	unsigned int openers;		/* open_lock of disk.c */
	bool closing;			/* open_lock of disk.c: no more opens */
	bool dying;			/* origin->cow_lock: takes no new copies */
	bool announced;			/* hcp_control_lock: udev was told of its end */
	struct hcp_free *free;		/* set once (release), or NULL; read anywhere */

	enum hcp_state state;		/* origin->chain_lock; read anywhere */
	char failure[HCP_REASON_LEN];	/* origin->chain_lock: why */

	/* the origin's region locks */
	struct hcp_map preserved;	/* the origin's old data */
	struct hcp_map private;		/* written to /dev/hcpN: all STORED */
	struct hcp_changed changed;	/* written to the origin while this was the newest */
	atomic64_t preserved_units;
	atomic64_t private_units;

	/* the I/O of /dev/hcpN */
	struct workqueue_struct *wq;
	struct bio_set piece_bios;
	mempool_t request_pool;
	spinlock_t queue_lock;
	struct bio_list queue;		/* @queue_lock: as submitted */
	struct work_struct queue_work;
	struct list_head writing;	/* @queue_lock: requests under way, none overlaps */
	struct bio_list deferred;	/* @queue_lock: overlap one of them */
	struct bio_list partial;	/* @queue_lock: less than whole units */
	struct work_struct partial_work;
	struct bio_list whole;		/* @queue_lock: whole units */
	struct work_struct whole_work;
	struct page *merge_page;	/* partial_work only */
	struct llist_head written;	/* struct hcp_piece */
	struct work_struct written_work;	/* on @written_wq: it may wait for memory */
	struct workqueue_struct *written_wq;
	struct llist_head recheck;	/* struct hcp_piece: reads that a write overtook */
	struct work_struct recheck_work;	/* on @recheck_wq: the others wait for it */
	struct bio_set recheck_bios;	/* one at a time, recheck_work only */
	struct workqueue_struct *recheck_wq;
	atomic_t nr_requests;		/* wait_var_event() */
};

extern struct list_head hcp_snaps;

struct hcp_snap *hcp_snap_new(struct hcp_origin *origin, const struct hcp_ioc_origin *arg,
			      const char **reason);
void hcp_snap_free(struct hcp_snap *snap);
int hcp_snap_remove(struct hcp_snap *snap, const char **reason);
struct hcp_snap *hcp_snap_next(unsigned int minor);
void hcp_origin_fail(struct hcp_origin *origin, enum hcp_state state, const char *failure);
int hcp_snap_set_free(struct hcp_snap *snap, const struct hcp_ioc_free *arg, const char **reason);
void hcp_snap_bury(struct hcp_snap *snap, struct hcp_snap *heir);

/* Whether @unit was free at the frozen moment; @run as in hcp_map_find(). */
static inline bool hcp_snap_is_free(const struct hcp_snap *snap, u64 unit, unsigned int *run)
{
	return hcp_free_holds(smp_load_acquire(&snap->free), unit, run);
}

static inline bool hcp_snap_is_active(const struct hcp_snap *snap)
{
	return READ_ONCE(snap->state) == HCP_STATE_ACTIVE;
}

#endif /* HCP_SNAPSHOT_H */
