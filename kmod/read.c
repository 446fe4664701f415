// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading a hot copy.  Reads of the origin are optimistic: nobody waits for them, and
 * after one it is seen whether a write was let go meanwhile; then it is looked up again.
 */
#include <linux/completion.h>

#include "chain.h"
#include "copy.h"
#include "io.h"
#include "mutant.h"
#include "origin.h"
#include "request.h"
#include "snapshot.h"
#include "store.h"
#include "unit.h"

/* Where a run of sectors is. */
enum read_from {
	READ_ORIGIN,
	READ_STORE,
	READ_COPY,	/* the memory of a copy */
	READ_ZEROS,
	READ_ERROR,
};

struct read_place {
	enum read_from from;
	sector_t end;		/* of the run, in sectors of the hot copy */
	struct block_device *bdev;	/* READ_STORE, and */
	sector_t store_sector;	/* where on it */
	struct hcp_copy *copy;	/* READ_COPY; a reference is held */
	int let_go;		/* READ_ORIGIN */
};

/* What the hot copy wrote itself, or preserved, at @unit; the region's lock is held. */
static const struct hcp_extent *snap_find(struct hcp_snap *snap, u64 unit, unsigned int *run)
{
	const struct hcp_extent *e = hcp_map_find(&snap->private, unit, run);

	return e ?: hcp_chain_find(snap, unit, run);
}

static void read_look_up(struct hcp_snap *snap, sector_t sector, sector_t end,
			 struct read_place *place)
{
	struct hcp_origin *origin = snap->origin;
	u64 unit = hcp_unit_of(sector);
	unsigned int run = hcp_region_clip(unit, hcp_unit_behind(end) - unit);
	const struct hcp_extent *e;
	struct hcp_place stored;
	sector_t same;

	spin_lock(hcp_region_lock(origin, unit));
	/* A write is let go with this lock held: we see its copy, or our read will. */
	place->let_go = atomic_read(&origin->region_let_go[hcp_region_bucket(unit)]);
	e = snap_find(snap, unit, &run);
	if (!e || e->state == HCP_EXTENT_READING) {
		place->from = READ_ORIGIN;
	} else if (e->state == HCP_EXTENT_COPYING) {
		place->from = READ_COPY;
		place->copy = e->copy;
		refcount_inc(&e->copy->refs);
	} else if (e->state == HCP_EXTENT_STORED) {
		place->from = READ_STORE;
		hcp_store_place(origin->store, hcp_extent_store(e, unit), run, &stored);
		place->bdev = stored.bdev;
		place->store_sector = stored.sector + (sector - hcp_unit_sector(unit));
		if (hcp_mutant(READ_OFF_BY_ONE) && sector != hcp_unit_sector(unit))
			place->store_sector--;
		run = stored.run;
	} else if (e->state == HCP_EXTENT_FREE) {
		place->from = READ_ZEROS;
	} else {
		place->from = READ_ERROR;
	}

	place->end = min(end, hcp_unit_sector(unit + run));
	/* A new segment takes a unit only when it is preserved, and we would have seen that. */
	if (place->from == READ_ORIGIN) {
		if (hcp_segments_hold(origin->disk, origin->start + sector,
				      place->end - sector, &same))
			place->from = READ_ZEROS;
		place->end = sector + same;
	}
	spin_unlock(hcp_region_lock(origin, unit));
}

/* Some sectors of the request, from the memory of @copy or (NULL) zeros. */
static void read_fill(struct hcp_request *request, sector_t sector, sector_t end,
		      struct hcp_copy *copy)
{
	struct bio *bio = request->bio;
	struct bvec_iter iter, start = bio->bi_iter;
	u64 byte = sector << SECTOR_SHIFT;	/* of the hot copy */
	unsigned int unit_offset, offset, done, run;
	struct bio_vec bv;

	bio_advance_iter(bio, &start, (sector - start.bi_sector) << SECTOR_SHIFT);
	start.bi_size = (end - sector) << SECTOR_SHIFT;
	__bio_for_each_segment(bv, bio, iter, start) {
		char *to = kmap_local_page(bv.bv_page);

		for (done = 0; done < bv.bv_len; done += run) {
			run = bv.bv_len - done;
			if (!copy) {
				memset(to + bv.bv_offset + done, 0, run);
				continue;
			}
			unit_offset = (byte >> HCP_UNIT_SHIFT) - copy->unit;
			offset = byte & (HCP_UNIT_SIZE - 1);
			run = min(run, HCP_UNIT_SIZE - offset);
			memcpy(to + bv.bv_offset + done,
			       hcp_copy_address(copy, unit_offset) + offset, run);
			byte += run;
		}
		kunmap_local(to);
		flush_dcache_page(bv.bv_page);
	}
}

static void read_piece_end(struct bio *bio)
{
	struct hcp_piece *piece = container_of(bio, struct hcp_piece, bio);
	struct hcp_request *request = piece->request;
	struct hcp_snap *snap = request->snap;
	struct hcp_origin *origin = snap->origin;
	u64 unit = hcp_unit_of(piece->sector);
	blk_status_t status;

	/* Pairs with copy_read_done(): what we read may be newer than the hot copy. */
	smp_rmb();
	if (!hcp_mutant(SKIP_RECHECK) && piece->optimistic && !bio->bi_status &&
	    atomic_read(&origin->region_let_go[hcp_region_bucket(unit)]) !=
		    piece->let_go) {
		hcp_io_done(&piece->done, &snap->recheck, snap->recheck_wq,
			    &snap->recheck_work);
		return;
	}
	/* The piece first: with its last request the hot copy may go, pools and all. */
	status = bio->bi_status;
	bio_put(bio);
	hcp_request_put(request, status);
}

/* A piece for the sectors up to place->end, not submitted yet; NULL as hcp_piece_new(). */
static struct hcp_piece *read_piece(struct hcp_request *request, struct bio_set *pool, gfp_t gfp,
				    sector_t sector, const struct read_place *place)
{
	struct hcp_origin *origin = request->snap->origin;
	bool stored = place->from == READ_STORE;
	struct hcp_piece *piece;

	piece = hcp_piece_new(request, pool, gfp, stored ? place->bdev : origin->bdev,
			      sector, place->end - sector);
	if (!piece)
		return NULL;
	piece->optimistic = !stored;
	piece->let_go = place->let_go;
	piece->bio.bi_iter.bi_sector = stored ? place->store_sector : sector;
	piece->bio.bi_end_io = read_piece_end;
	return piece;
}

/* Whether all of it is still where it was read: no write of these units was let go. */
static bool read_is_good(struct hcp_snap *snap, sector_t sector, sector_t end)
{
	struct read_place place;

	for (; sector < end; sector = place.end) {
		read_look_up(snap, sector, end, &place);
		if (place.from == READ_COPY)
			hcp_copy_put(place.copy);
		if (place.from != READ_ORIGIN)
			return false;
	}
	return true;
}

static void read_alone_end(struct bio *bio)
{
	complete(bio->bi_private);
}

/* Reads and waits, with memory of its own.  False: a write was quicker, look again. */
static bool read_alone(struct hcp_request *request, sector_t sector,
		       const struct read_place *place)
{
	struct hcp_snap *snap = request->snap;
	DECLARE_COMPLETION_ONSTACK(done);
	struct hcp_piece *piece;
	blk_status_t status;

	piece = read_piece(request, &snap->recheck_bios, GFP_NOIO, sector, place);
	piece->bio.bi_private = &done;
	piece->bio.bi_end_io = read_alone_end;
	hcp_io_submit(&piece->bio);
	wait_for_completion_io(&done);
	status = piece->bio.bi_status;
	bio_put(&piece->bio);
	hcp_request_put(request, status);	/* the caller has a piece as well */
	return place->from != READ_ORIGIN || read_is_good(snap, sector, place->end);
}

/*
 * Some sectors that are on a device.  @again: by recheck_work, which gives pieces back
 * and so must not wait for one.  False: look again where they are.
 */
static bool read_submit(struct hcp_request *request, sector_t sector,
			const struct read_place *place, bool again)
{
	struct bio_set *pool = &request->snap->piece_bios;
	struct hcp_piece *piece;

	piece = read_piece(request, pool, again ? GFP_NOWAIT | __GFP_NOWARN : GFP_NOIO, sector,
			   place);
	if (!piece)
		return read_alone(request, sector, place);
	hcp_io_submit(&piece->bio);
	return true;
}

static void read_sectors(struct hcp_request *request, sector_t sector, sector_t end, bool again)
{
	struct hcp_snap *snap = request->snap;
	struct read_place place;

	for (; sector < end; sector = place.end) {
		if (!hcp_snap_is_active(snap)) {
			hcp_request_fail(request, BLK_STS_IOERR);
			return;
		}
		read_look_up(snap, sector, end, &place);
		switch (place.from) {
		case READ_COPY:
			read_fill(request, sector, place.end, place.copy);
			hcp_copy_put(place.copy);
			break;
		case READ_ZEROS:
			read_fill(request, sector, place.end, NULL);
			break;
		case READ_ERROR:
			hcp_request_fail(request, BLK_STS_IOERR);
			return;
		case READ_ORIGIN:
		case READ_STORE:
			if (!read_submit(request, sector, &place, again))
				place.end = sector;
			break;
		}
	}
}

/* Serves the sectors [sector, end) of the request, which holds a piece for us. */
void hcp_read(struct hcp_request *request, sector_t sector, sector_t end)
{
	read_sectors(request, sector, end, false);
}

/* Reads of the origin that a write may have overtaken: if so, they are done again. */
void hcp_read_recheck_work(struct work_struct *work)
{
	struct hcp_snap *snap = container_of(work, struct hcp_snap, recheck_work);
	struct llist_node *list = llist_del_all(&snap->recheck);
	struct hcp_piece *piece, *next;

	llist_for_each_entry_safe(piece, next, list, done) {
		struct hcp_request *request = piece->request;
		sector_t sector = piece->sector, end = sector + piece->nr_sectors;

		bio_put(&piece->bio);
		if (!read_is_good(snap, sector, end))
			read_sectors(request, sector, end, true);
		hcp_request_put(request, 0);
	}
}
