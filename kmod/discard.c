// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A discard is advice.  What a hot copy still needs is left out of it, so that nothing
 * is copied for it; the rest goes on to the device.
 */
#include <linux/bio.h>
#include <linux/wait_bit.h>

#include "chain.h"
#include "cow.h"
#include "discard.h"
#include "hook.h"
#include "io.h"
#include "mutant.h"
#include "origin.h"
#include "unit.h"

static void discard_piece_end(struct bio *piece)
{
	struct hcp_origin *origin = piece->bi_private;
	struct bio *parent = container_of(piece, struct hcp_discard_piece, bio)->parent;

	if (piece->bi_status && !parent->bi_status)
		parent->bi_status = piece->bi_status;
	bio_put(piece);
	bio_endio(parent);
	/* The origin may be gone at once; its address is all that is used. */
	if (atomic_dec_and_test(&origin->nr_discards))
		wake_up_var(&origin->nr_discards);
}

/* What is discarded is changed; sectors [from, to) of the whole disk. */
static void discard_note(struct hcp_origin *origin, sector_t from, sector_t to)
{
	sector_t first, end;

	if (hcp_origin_clip(origin, origin->disk, from, to - from, &first, &end))
		hcp_cow_note(origin, first, end);
}

/*
 * Passes on the sectors [from, to) of the whole disk, which lie in @parent.  Without
 * memory they are left out: to wait for a piece could be for another origin, whose
 * pieces wait for ours.
 */
static void discard_pass(struct hcp_origin *origin, struct bio *parent, sector_t from,
			 sector_t to)
{
	sector_t skip = from - hcp_bio_disk_sector(parent);
	struct bio *piece;

	if (from == to)
		return;
	piece = hcp_bio_alloc(NULL, 0, parent->bi_opf, GFP_NOWAIT | __GFP_NOWARN,
			      &origin->discard_bios);
	if (!piece)
		return;
	discard_note(origin, from, to);
	hcp_bio_same_dev(piece, parent);
	piece->bi_iter.bi_sector = parent->bi_iter.bi_sector + skip;
	piece->bi_iter.bi_size = (to - from) << SECTOR_SHIFT;
	piece->bi_private = origin;
	piece->bi_end_io = discard_piece_end;
	container_of(piece, struct hcp_discard_piece, bio)->parent = parent;
	bio_inc_remaining(parent);
	atomic_inc(&origin->nr_discards);
	hcp_hook_route(piece, origin);
}

/* Where the run from @sector on ends, that is needed (or not) as its begin is. */
static sector_t discard_run(struct hcp_origin *origin, sector_t sector, sector_t end,
			    bool *pass)
{
	sector_t first = sector - origin->start, last;
	struct hcp_needed needed;
	u64 unit = hcp_unit_of(first);

	if (sector < origin->start) {
		*pass = true;
		return min(end, origin->start);
	}
	if (first >= origin->nr_sectors) {
		*pass = true;
		return end;
	}
	if (hcp_mutant(DISCARD_ALL)) {
		*pass = true;
		return end;
	}
	last = min(end - origin->start, origin->nr_sectors);
	spin_lock(hcp_region_lock(origin, unit));
	*pass = hcp_chain_need(origin, unit,
			       hcp_region_clip(unit, hcp_unit_behind(last) - unit),
			       &needed) == HCP_NEED_NOTHING;
	spin_unlock(hcp_region_lock(origin, unit));
	return origin->start + min(last, hcp_unit_sector(unit + needed.run));
}

/* Passes on what may be discarded of @bio, and ends it. */
void hcp_discard(struct hcp_origin *origin, struct bio *bio)
{
	sector_t begin = hcp_bio_disk_sector(bio), end = begin + bio_sectors(bio);
	sector_t sector, next, from = begin;
	bool pass;

	for (sector = begin; sector < end; sector = next) {
		next = discard_run(origin, sector, end, &pass);
		if (!pass) {
			discard_pass(origin, bio, from, sector);
			from = next;
		}
		cond_resched();
	}
	if (from == begin) {
		discard_note(origin, begin, end);
		hcp_hook_route(bio, origin);
		return;
	}
	discard_pass(origin, bio, from, end);
	bio_endio(bio);
}
