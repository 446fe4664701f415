// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests to /dev/hcpN and their pieces; see request.h. */
#include <linux/completion.h>
#include <linux/wait_bit.h>

#include "io.h"
#include "request.h"
#include "snapshot.h"

/* Is counted from here on. */
void hcp_request_start(struct hcp_request *request)
{
	request->start = bio_start_io_acct(request->bio);
}

/* Sleeps until there is memory; never fails. */
struct hcp_request *hcp_request_new(struct hcp_snap *snap, struct bio *bio)
{
	struct hcp_request *request = mempool_alloc(&snap->request_pool, GFP_NOIO);

	memset(request, 0, sizeof(*request));
	request->snap = snap;
	request->bio = bio;
	atomic_set(&request->pieces, 1);
	INIT_LIST_HEAD(&request->node);
	return request;
}

void hcp_request_fail(struct hcp_request *request, blk_status_t status)
{
	if (status)
		WRITE_ONCE(request->status, status);
}

/* One piece, or who made them, is done.  A read may end in interrupt context. */
void hcp_request_put(struct hcp_request *request, blk_status_t status)
{
	struct hcp_snap *snap = request->snap;
	struct bio *bio = request->bio;

	hcp_request_fail(request, status);
	if (!atomic_dec_and_test(&request->pieces))
		return;

	/* Died meanwhile: what was read may be newer than the hot copy. */
	if (!hcp_snap_is_active(snap))
		request->status = BLK_STS_IOERR;
	bio->bi_status = request->status;
	if (request->waiter) {
		complete(request->waiter);
		return;
	}
	if (!list_empty(&request->node))
		hcp_write_forget(request);
	bio_end_io_acct(bio, request->start);
	mempool_free(request, &snap->request_pool);
	bio_endio(bio);
	if (atomic_dec_and_test(&snap->nr_requests))
		wake_up_var(&snap->nr_requests);
}

/*
 * A piece of the request for @nr_sectors from @sector on, from @pool.  With GFP_NOIO it
 * sleeps until there is memory, with GFP_NOWAIT it may be NULL.
 */
struct hcp_piece *hcp_piece_new(struct hcp_request *request, struct bio_set *pool, gfp_t gfp,
				struct block_device *bdev, sector_t sector,
				unsigned int nr_sectors)
{
	struct bio *parent = request->bio;
	struct hcp_piece *piece;
	struct bio *bio;

	bio = hcp_bio_clone(bdev, parent, gfp, pool);
	if (!bio)
		return NULL;
	bio->bi_opf = bio_op(parent) | (parent->bi_opf & REQ_SYNC);
	bio_advance(bio, (sector - parent->bi_iter.bi_sector) << SECTOR_SHIFT);
	bio->bi_iter.bi_size = nr_sectors << SECTOR_SHIFT;

	piece = container_of(bio, struct hcp_piece, bio);
	piece->request = request;
	piece->sector = sector;
	piece->nr_sectors = nr_sectors;
	piece->optimistic = false;
	piece->is_new = false;
	atomic_inc(&request->pieces);
	return piece;
}
