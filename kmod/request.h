/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O of /dev/hcpN.  A request is one bio as submitted; it is served in pieces, each
 * from one place: the hot copy's own writes, preserved data, or the origin.
 *
 * Everything is done by workers, never in ->submit_bio(): there, bios queue up behind
 * each other and a pool may run dry for good.
 */
#ifndef HCP_REQUEST_H
#define HCP_REQUEST_H

#include <linux/bio.h>
#include <linux/list.h>
#include <linux/llist.h>

struct hcp_snap;

struct hcp_request {
	struct hcp_snap *snap;
	struct bio *bio;
	atomic_t pieces;	/* under way, and one for who makes them */
	blk_status_t status;	/* the last error */
	struct completion *waiter;	/* of a request of our own, on the stack; or NULL */
	struct list_head node;	/* snap->writing; queue_lock */
	unsigned long start;	/* for /proc/diskstats, unless there is a waiter */
	u64 first, last;	/* units written: [first, last) */
};

struct hcp_piece {
	struct hcp_request *request;
	sector_t sector;	/* of the hot copy */
	unsigned int nr_sectors;
	bool optimistic;	/* read from the origin: look again afterwards */
	int let_go;		/* region_let_go when it was looked up */
	u64 store_unit;		/* write */
	bool is_new;		/* write: the store's units are not in the map yet */
	struct llist_node done;
	struct bio bio;		/* last: its bio_set has room before it */
};

struct hcp_request *hcp_request_new(struct hcp_snap *snap, struct bio *bio);
void hcp_request_start(struct hcp_request *request);
void hcp_request_fail(struct hcp_request *request, blk_status_t status);
void hcp_request_put(struct hcp_request *request, blk_status_t status);
struct hcp_piece *hcp_piece_new(struct hcp_request *request, struct bio_set *pool, gfp_t gfp,
				struct block_device *bdev, sector_t sector,
				unsigned int nr_sectors);

/* read.c */
void hcp_read(struct hcp_request *request, sector_t sector, sector_t end);
void hcp_read_recheck_work(struct work_struct *work);

/* write.c */
void hcp_write(struct hcp_snap *snap, struct bio *bio);
void hcp_write_partial_work(struct work_struct *work);
void hcp_write_whole_work(struct work_struct *work);
void hcp_write_done_work(struct work_struct *work);
void hcp_write_forget(struct hcp_request *request);

#endif /* HCP_REQUEST_H */
