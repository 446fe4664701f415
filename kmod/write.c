// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing to a hot copy.  What is written goes to units of the store of its own, in
 * place the second time, and into the private map when it is there.  Requests that
 * overlap are served one after the other; less than a unit is read, merged, written.
 */
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/delay.h>

#include "io.h"
#include "mutant.h"
#include "origin.h"
#include "request.h"
#include "snapshot.h"
#include "store.h"
#include "unit.h"

static bool write_overlaps(const struct hcp_request *a, const struct hcp_request *b)
{
	return !hcp_mutant(NO_ORDER) && a->first < b->last && b->first < a->last;
}

/*
 * A request that joins those under way; NULL when it overlaps one, and @bio waits for
 * that.  What waits holds no request, so that the pool never runs dry of them.
 */
static struct hcp_request *write_begin(struct hcp_snap *snap, struct bio *bio)
{
	struct hcp_request *request = hcp_request_new(snap, bio), *other;
	bool overlaps = false;

	request->first = hcp_unit_of(bio->bi_iter.bi_sector);
	request->last = hcp_unit_behind(bio->bi_iter.bi_sector + bio_sectors(bio));

	spin_lock(&snap->queue_lock);
	list_for_each_entry(other, &snap->writing, node)
		if (write_overlaps(request, other))
			overlaps = true;
	if (overlaps)
		bio_list_add(&snap->deferred, bio);
	else
		list_add_tail(&request->node, &snap->writing);
	spin_unlock(&snap->queue_lock);

	if (!overlaps) {
		hcp_request_start(request);
		return request;
	}
	mempool_free(request, &snap->request_pool);
	return NULL;
}

/* The request is done: those that wait for it are tried again. */
void hcp_write_forget(struct hcp_request *request)
{
	struct hcp_snap *snap = request->snap;

	spin_lock(&snap->queue_lock);
	list_del_init(&request->node);
	if (!bio_list_empty(&snap->deferred))
		queue_work(snap->wq, &snap->queue_work);
	spin_unlock(&snap->queue_lock);
}

/* Puts units that are written now into the private map; -ENOMEM. */
static int write_enter(struct hcp_snap *snap, u64 unit, unsigned int count, u64 store)
{
	spinlock_t *lock = hcp_region_lock(snap->origin, unit);
	int err;

	for (;;) {
		spin_lock(lock);
		err = hcp_map_set(&snap->private, unit, count, HCP_EXTENT_STORED, NULL,
				  store);
		spin_unlock(lock);
		if (!err)
			break;
		err = hcp_map_reserve(&snap->private, lock, hcp_region_index(unit),
				      HCP_MAP_ROOM, GFP_NOIO | __GFP_NOWARN);
		if (err)
			return err;
	}
	atomic64_add(count, &snap->private_units);
	return 0;
}

/* Up to @want units of the store; waits a moment for it to grow.  HCP_STORE_FULL. */
static u64 write_alloc(struct hcp_snap *snap, unsigned int want, unsigned int *got)
{
	struct hcp_store *store = snap->origin->store;
	u64 unit;

	while ((unit = hcp_store_alloc(store, want, got)) == HCP_STORE_FULL &&
	       hcp_snap_is_active(snap) && hcp_store_may_grow(store))
		msleep(20);
	return unit;
}

/*
 * Where up to @count units from @unit on, in one region, are written.  @is_new: they
 * were not yet, write_enter() them afterwards.  HCP_STORE_FULL.
 */
static u64 write_place(struct hcp_snap *snap, u64 unit, unsigned int count,
		       struct hcp_place *place, bool *is_new)
{
	struct hcp_store *store = snap->origin->store;
	spinlock_t *lock = hcp_region_lock(snap->origin, unit);
	const struct hcp_extent *e;
	unsigned int run = count;
	u64 at = 0;

	spin_lock(lock);
	e = hcp_map_find(&snap->private, unit, &run);
	if (e)
		at = hcp_extent_store(e, unit);
	spin_unlock(lock);

	*is_new = !e;
	if (!e)
		at = write_alloc(snap, run, &run);
	if (at != HCP_STORE_FULL)
		hcp_store_place(store, at, run, place);
	return at;
}

static void write_piece_end(struct bio *bio)
{
	struct hcp_piece *piece = container_of(bio, struct hcp_piece, bio);
	struct hcp_snap *snap = piece->request->snap;

	hcp_io_done(&piece->done, &snap->written, snap->written_wq, &snap->written_work);
}

void hcp_write_done_work(struct work_struct *work)
{
	struct hcp_snap *snap = container_of(work, struct hcp_snap, written_work);
	struct llist_node *list = llist_del_all(&snap->written);
	struct hcp_piece *piece, *next;

	llist_for_each_entry_safe(piece, next, list, done) {
		unsigned int count = hcp_unit_of(piece->nr_sectors);
		blk_status_t status = piece->bio.bi_status;
		struct hcp_request *request;

		if (piece->is_new && !status &&
		    write_enter(snap, hcp_unit_of(piece->sector), count, piece->store_unit))
			status = BLK_STS_RESOURCE;
		if (piece->is_new && status)
			hcp_store_free(snap->origin->store, piece->store_unit, count);
		request = piece->request;
		bio_put(&piece->bio);
		hcp_request_put(request, status);
	}
}

/* Writes the whole units [unit, last) of the request. */
static void write_units(struct hcp_request *request, u64 unit, u64 last)
{
	struct hcp_snap *snap = request->snap;
	struct hcp_piece *piece;
	struct hcp_place place;
	bool is_new;
	u64 at;

	for (; unit < last; unit += place.run) {
		at = write_place(snap, unit, hcp_region_clip(unit, last - unit), &place,
				 &is_new);
		if (at == HCP_STORE_FULL) {
			hcp_request_fail(request, BLK_STS_NOSPC);
			return;
		}
		piece = hcp_piece_new(request, &snap->piece_bios, GFP_NOIO, place.bdev,
				      hcp_unit_sector(unit), hcp_unit_sector(place.run));
		piece->is_new = is_new;
		piece->store_unit = at;
		piece->bio.bi_iter.bi_sector = place.sector;
		piece->bio.bi_end_io = write_piece_end;
		hcp_io_submit(&piece->bio);
	}
}

static void wait_end(struct bio *bio)
{
	complete(bio->bi_private);
}

/* Reads a unit of the hot copy into its merge page. */
static blk_status_t merge_read(struct hcp_snap *snap, u64 unit, sector_t end)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct hcp_request request = { .snap = snap, .waiter = &done };
	struct bio_vec vec;
	struct bio bio;

	hcp_bio_init(&bio, snap->origin->bdev, &vec, 1, REQ_OP_READ);
	bio.bi_iter.bi_sector = hcp_unit_sector(unit);
	__bio_add_page(&bio, snap->merge_page, (end - hcp_unit_sector(unit)) << SECTOR_SHIFT,
		       0);
	request.bio = &bio;
	atomic_set(&request.pieces, 1);
	INIT_LIST_HEAD(&request.node);
	hcp_read(&request, hcp_unit_sector(unit), end);
	hcp_request_put(&request, 0);
	wait_for_completion_io(&done);
	bio_uninit(&bio);
	return request.status;
}

/* Writes the merge page to the store. */
static blk_status_t merge_write(struct hcp_snap *snap, const struct hcp_place *place)
{
	DECLARE_COMPLETION_ONSTACK(done);
	blk_status_t status;
	struct bio_vec vec;
	struct bio bio;

	hcp_bio_init(&bio, place->bdev, &vec, 1, REQ_OP_WRITE | REQ_SYNC);
	bio.bi_iter.bi_sector = place->sector;
	bio.bi_private = &done;
	bio.bi_end_io = wait_end;
	__bio_add_page(&bio, snap->merge_page, HCP_UNIT_SIZE, 0);
	hcp_io_submit(&bio);
	wait_for_completion_io(&done);
	status = bio.bi_status;
	bio_uninit(&bio);
	return status;
}

/* What the request has for the sectors [sector, end), into the merge page. */
static void merge_data(struct hcp_request *request, u64 unit, sector_t sector, sector_t end)
{
	struct bio *bio = request->bio;
	struct bvec_iter iter, start = bio->bi_iter;
	char *to = page_address(request->snap->merge_page);
	struct bio_vec bv;

	to += (sector - hcp_unit_sector(unit)) << SECTOR_SHIFT;
	if (hcp_mutant(MERGE_OFF_BY_ONE) && sector != hcp_unit_sector(unit))
		to -= SECTOR_SIZE;
	bio_advance_iter(bio, &start, (sector - start.bi_sector) << SECTOR_SHIFT);
	start.bi_size = (end - sector) << SECTOR_SHIFT;
	__bio_for_each_segment(bv, bio, iter, start) {
		char *from = kmap_local_page(bv.bv_page);

		memcpy(to, from + bv.bv_offset, bv.bv_len);
		kunmap_local(from);
		to += bv.bv_len;
	}
}

/* Writes the sectors [sector, end) of one unit, less than the whole of it. */
static blk_status_t write_merge(struct hcp_request *request, u64 unit, sector_t sector,
				sector_t end)
{
	struct hcp_snap *snap = request->snap;
	sector_t unit_end = min(hcp_unit_sector(unit + 1), snap->nr_sectors);
	struct hcp_place place;
	blk_status_t status;
	bool is_new;
	u64 at;

	memset(page_address(snap->merge_page), 0, HCP_UNIT_SIZE);
	status = merge_read(snap, unit, unit_end);
	if (status)
		return status;
	merge_data(request, unit, sector, end);

	at = write_place(snap, unit, 1, &place, &is_new);
	if (at == HCP_STORE_FULL)
		return BLK_STS_NOSPC;
	status = merge_write(snap, &place);
	if (is_new && !status && write_enter(snap, unit, 1, at))
		status = BLK_STS_RESOURCE;
	if (is_new && status)
		hcp_store_free(snap->origin->store, at, 1);
	return status;
}

static bool write_is_partial(struct bio *bio)
{
	return (bio->bi_iter.bi_sector | bio_sectors(bio)) & (HCP_UNIT_SECTORS - 1);
}

/* One request of less than whole units: its parts one after the other. */
static void write_partial(struct hcp_request *request)
{
	sector_t sector = request->bio->bi_iter.bi_sector;
	sector_t end = sector + bio_sectors(request->bio), next;
	blk_status_t status = 0;

	for (; sector < end && !status; sector = next) {
		u64 unit = hcp_unit_of(sector);

		if (sector == hcp_unit_sector(unit) && end >= hcp_unit_sector(unit + 1)) {
			next = hcp_unit_sector(hcp_unit_of(end));
			write_units(request, unit, hcp_unit_of(end));
		} else {
			next = min(end, hcp_unit_sector(unit + 1));
			status = write_merge(request, unit, sector, next);
		}
	}
	hcp_request_put(request, status);
}

/* The next request of those in @bios that overlaps none under way; NULL: none is left. */
static struct hcp_request *write_next(struct hcp_snap *snap, struct bio_list *bios)
{
	struct hcp_request *request;
	struct bio *bio;

	do {
		spin_lock(&snap->queue_lock);
		bio = bio_list_pop(bios);
		spin_unlock(&snap->queue_lock);
		request = bio ? write_begin(snap, bio) : NULL;
	} while (bio && !request);
	return request;
}

void hcp_write_partial_work(struct work_struct *work)
{
	struct hcp_snap *snap = container_of(work, struct hcp_snap, partial_work);
	struct hcp_request *request;

	while ((request = write_next(snap, &snap->partial)))
		write_partial(request);
}

void hcp_write_whole_work(struct work_struct *work)
{
	struct hcp_snap *snap = container_of(work, struct hcp_snap, whole_work);
	struct hcp_request *request;
	struct blk_plug plug;

	blk_start_plug(&plug);
	while ((request = write_next(snap, &snap->whole))) {
		write_units(request, request->first, request->last);
		hcp_request_put(request, 0);
	}
	blk_finish_plug(&plug);
}

/* Serves a write, not here: it may wait for a store to grow, and reads must not. */
void hcp_write(struct hcp_snap *snap, struct bio *bio)
{
	bool partial = write_is_partial(bio);

	spin_lock(&snap->queue_lock);
	bio_list_add(partial ? &snap->partial : &snap->whole, bio);
	spin_unlock(&snap->queue_lock);
	queue_work(snap->wq, partial ? &snap->partial_work : &snap->whole_work);
}
