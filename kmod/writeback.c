// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing copies to the store.  Nobody waits for it, so that small copies are
 * collected into large sequential writes.  The store need not survive a crash: no
 * flush, no FUA, no metadata.
 */
#include <linux/delay.h>
#include <linux/slab.h>

#include "chain.h"
#include "copy.h"
#include "cow.h"
#include "io.h"
#include "mutant.h"
#include "origin.h"
#include "snapshot.h"
#include "store.h"
#include "unit.h"
#include "writeback.h"

/* How often a map is tried that has no memory to grow: a second. */
#define HCP_MAP_TRIES		50

/* How long a small copy waits for company. */
#define HCP_STORE_DELAY		(HZ / 10)

/* How often a full store is tried that may grow. */
#define HCP_GROW_RETRY		(HZ / 50 ?: 1)

/* Some units of a copy, within a batch. */
struct hcp_batch_part {
	struct hcp_copy *copy;
	unsigned int offset;	/* units into the copy */
	unsigned int count;
};

/* One write to the store: units that follow each other there. */
struct hcp_batch {
	struct hcp_origin *origin;
	unsigned int index;	/* in origin->batch */
	struct llist_node done;
	u64 store_unit;
	unsigned int nr_units;
	unsigned int nr_parts;
	struct hcp_batch_part part[HCP_COPY_UNITS];
	struct bio_vec vec[HCP_COPY_UNITS];
	struct bio bio;
};

struct hcp_batch *hcp_batch_new(struct hcp_origin *origin)
{
	struct hcp_batch *batch = kvzalloc(sizeof(*batch), GFP_KERNEL);

	if (batch)
		batch->origin = origin;
	return batch;
}

void hcp_batch_free(struct hcp_batch *batch)
{
	kvfree(batch);
}

/* A copy that was read joins those to be stored. */
void hcp_writeback_add(struct hcp_origin *origin, struct hcp_copy *copy)
{
	bool now;

	spin_lock(&origin->ready_lock);
	if (list_empty(&origin->ready))
		origin->ready_since = jiffies;
	list_add_tail(&copy->ready, &origin->ready);
	origin->ready_units += hcp_copy_wanted(copy, 0);
	if (hcp_mutant(LOCK_ORDER)) {
		spin_lock(hcp_region_lock(origin, copy->unit));
		spin_unlock(hcp_region_lock(origin, copy->unit));
	}
	now = origin->ready_units >= HCP_COPY_UNITS || READ_ONCE(origin->hurry);
	spin_unlock(&origin->ready_lock);

	if (now || hcp_copy_memory_is_short())
		mod_delayed_work(origin->wq, &origin->store_work, 0);
	else
		queue_delayed_work(origin->wq, &origin->store_work, HCP_STORE_DELAY);
}

/* What is ready is stored now. */
void hcp_writeback_hurry(struct hcp_origin *origin)
{
	WRITE_ONCE(origin->hurry, true);
	mod_delayed_work(origin->wq, &origin->store_work, 0);
}

/* The copy is on its way no more: nothing may point to it from here on. */
static void copy_settled(struct hcp_copy *copy, unsigned int count)
{
	copy->unsettled -= count;
	if (!copy->unsettled)
		hcp_copy_put(copy);
}

/* The hot copies are dead: with a part of @copy, all of it is lost. */
static void copy_lose(struct hcp_origin *origin, struct hcp_copy *copy)
{
	spin_lock(hcp_region_lock(origin, copy->unit));
	hcp_copy_lose(copy);
	spin_unlock(hcp_region_lock(origin, copy->unit));
}

/*
 * Up to @want units of the copies that are ready, into @batch; store_work is the only
 * one that takes any out of the list.
 */
static void batch_fill(struct hcp_origin *origin, struct hcp_batch *batch,
		       unsigned int want)
{
	while (want) {
		struct hcp_batch_part *part = &batch->part[batch->nr_parts++];
		struct hcp_copy *copy;
		unsigned int unit, run, offset;
		struct page *page;

		spin_lock(&origin->ready_lock);
		copy = list_first_entry(&origin->ready, struct hcp_copy, ready);
		part->copy = copy;
		part->offset = find_next_bit(copy->wanted, copy->count, copy->assigned);
		part->count = min_t(unsigned int, want,
				    find_next_zero_bit(copy->wanted, copy->count,
						       part->offset) - part->offset);
		copy->assigned = part->offset + part->count;
		if (copy->assigned == copy->count)
			list_del_init(&copy->ready);
		origin->ready_units -= part->count;
		spin_unlock(&origin->ready_lock);

		for (unit = 0; unit < part->count; unit += run) {
			page = hcp_copy_page(copy, part->offset + unit, &offset);
			run = min_t(unsigned int, part->count - unit,
				    (PAGE_SIZE - offset) >> HCP_UNIT_SHIFT);
			__bio_add_page(&batch->bio, page, run << HCP_UNIT_SHIFT, offset);
		}
		want -= part->count;
	}
	/* What is left is about as young as this. */
	spin_lock(&origin->ready_lock);
	origin->ready_since = jiffies;
	spin_unlock(&origin->ready_lock);
}

static void batch_end(struct bio *bio)
{
	struct hcp_batch *batch = container_of(bio, struct hcp_batch, bio);
	struct hcp_origin *origin = batch->origin;

	hcp_io_done(&batch->done, &origin->batch_done, origin->wq, &origin->batch_work);
}

/* What is ready will not be stored: the hot copies are gone or dead. */
static void drop_ready(struct hcp_origin *origin)
{
	struct hcp_copy *copy;

	for (;;) {
		spin_lock(&origin->ready_lock);
		copy = list_first_entry_or_null(&origin->ready, struct hcp_copy, ready);
		/* It was ready before there could be a new hot copy: see the order. */
		if (!copy || !hcp_chain_is_idle(origin)) {
			spin_unlock(&origin->ready_lock);
			return;
		}
		list_del_init(&copy->ready);
		copy->dropped = hcp_copy_wanted(copy, copy->assigned);
		origin->ready_units -= copy->dropped;
		spin_unlock(&origin->ready_lock);

		copy_lose(origin, copy);
		copy->assigned = copy->count;
		/* Parts of it may be in a batch: batch_work counts both. */
		if (llist_add(&copy->done, &origin->dropped))
			queue_work(origin->wq, &origin->batch_work);
	}
}

/* How many units to store now; 0: wait for company. */
static unsigned int store_due(struct hcp_origin *origin)
{
	unsigned int due;
	bool aged;

	spin_lock(&origin->ready_lock);
	due = origin->ready_units;
	aged = time_after_eq(jiffies, origin->ready_since + HCP_STORE_DELAY);
	spin_unlock(&origin->ready_lock);

	if (due >= HCP_COPY_UNITS || aged || READ_ONCE(origin->hurry) ||
	    hcp_copy_memory_is_short())
		return min(due, HCP_COPY_UNITS);
	if (due)
		queue_delayed_work(origin->wq, &origin->store_work, HCP_STORE_DELAY);
	return 0;
}

void hcp_writeback_store_work(struct work_struct *work)
{
	struct hcp_origin *origin = container_of(to_delayed_work(work),
						 struct hcp_origin, store_work);
	struct hcp_batch *batch;
	struct hcp_place place;
	unsigned int due, got, i;

	while ((due = store_due(origin))) {
		if (hcp_chain_is_idle(origin)) {
			drop_ready(origin);
			continue;
		}
		for (i = 0; i < HCP_BATCHES; i++)
			if (!test_and_set_bit_lock(i, &origin->batch_busy))
				break;
		if (i == HCP_BATCHES)
			return;		/* batch_work comes back here */
		batch = origin->batch[i];
		batch->index = i;
		batch->store_unit = hcp_store_alloc(origin->store, due, &got);
		if (batch->store_unit == HCP_STORE_FULL &&
		    hcp_store_may_grow(origin->store)) {
			clear_bit_unlock(i, &origin->batch_busy);
			queue_delayed_work(origin->wq, &origin->store_work,
					   HCP_GROW_RETRY);
			return;
		}
		if (batch->store_unit == HCP_STORE_FULL) {
			hcp_origin_fail(origin, HCP_STATE_OVERFLOW,
					"the space for changed blocks is full");
			clear_bit_unlock(i, &origin->batch_busy);
			drop_ready(origin);
			continue;
		}
		batch->nr_units = got;
		batch->nr_parts = 0;
		hcp_store_place(origin->store, batch->store_unit, got, &place);
		hcp_bio_init(&batch->bio, place.bdev, batch->vec, HCP_COPY_UNITS,
			     REQ_OP_WRITE);
		batch->bio.bi_iter.bi_sector = place.sector;
		batch_fill(origin, batch, got);
		batch->bio.bi_end_io = batch_end;
		hcp_io_submit(&batch->bio);
	}
	if (!READ_ONCE(origin->ready_units))
		WRITE_ONCE(origin->hurry, false);
}

/*
 * Some units of @copy are in the store, at @store: whoever still needs them finds them
 * there.  What nobody needs any more is free again.  -ENOMEM.
 */
static int part_stored(struct hcp_origin *origin, struct hcp_copy *copy,
		       unsigned int offset, unsigned int count, u64 store)
{
	spinlock_t *lock = hcp_region_lock(origin, copy->unit);
	unsigned int done, run, tries = 0;
	int err;

	for (done = 0; done < count; done += run) {
		u64 unit = copy->unit + offset + done;
		const struct hcp_extent *e;
		struct hcp_snap *snap;

		run = count - done;
		spin_lock(lock);
		snap = copy->snap;
		e = snap ? hcp_map_find(&snap->preserved, unit, &run) : NULL;
		if (!e || e->state != HCP_EXTENT_COPYING || e->copy != copy) {
			hcp_store_free(origin->store, store + done, run);
			spin_unlock(lock);
			continue;
		}
		err = hcp_map_set(&snap->preserved, unit, run, HCP_EXTENT_STORED, NULL,
				  store + done);
		/* A removal may have left the rest behind: @snap would not know of @copy. */
		if (!err && !hcp_map_has_copy(&snap->preserved, unit, copy))
			copy->snap = NULL;
		spin_unlock(lock);
		if (hcp_mutant(FREE_EARLY) && !err)
			hcp_store_free(origin->store, store + done, run);
		if (!err)
			continue;

		/* cow_lock keeps @snap, which may be on its way out, while we sleep. */
		mutex_lock(&origin->cow_lock);
		snap = READ_ONCE(copy->snap);
		err = snap ? hcp_map_reserve(&snap->preserved, lock, hcp_region_index(unit),
					     HCP_MAP_ROOM,
					     GFP_NOIO | __GFP_NOWARN | __GFP_NORETRY) : 0;
		mutex_unlock(&origin->cow_lock);
		if (err && ++tries > HCP_MAP_TRIES) {
			hcp_store_free(origin->store, store + done, count - done);
			return err;
		}
		if (err)
			msleep(20);
		run = 0;
	}
	return 0;
}

static bool batch_is_needed(const struct hcp_batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->nr_parts; i++)
		if (hcp_copy_is_needed(batch->part[i].copy))
			return true;
	return false;
}

static void batch_settle(struct hcp_origin *origin, struct hcp_batch *batch)
{
	bool failed = batch->bio.bi_status;
	u64 store = batch->store_unit;
	unsigned int i;

	/* Hot copies that were made since those it is for ended are none of its business. */
	if (failed && batch_is_needed(batch))
		hcp_origin_fail(origin, HCP_STATE_FAILED,
				"writing to the space for changed blocks failed");
	for (i = 0; i < batch->nr_parts; i++) {
		struct hcp_batch_part *part = &batch->part[i];

		if (failed) {
			hcp_store_free(origin->store, store, part->count);
			copy_lose(origin, part->copy);
		} else if (part_stored(origin, part->copy, part->offset, part->count,
				       store)) {
			if (hcp_copy_is_needed(part->copy))
				hcp_origin_fail(origin, HCP_STATE_FAILED,
						"no memory for the map");
			copy_lose(origin, part->copy);
		}
		store += part->count;
		copy_settled(part->copy, part->count);
	}
	bio_uninit(&batch->bio);
	clear_bit_unlock(batch->index, &origin->batch_busy);
}

void hcp_writeback_batch_work(struct work_struct *work)
{
	struct hcp_origin *origin = container_of(work, struct hcp_origin, batch_work);
	struct hcp_batch *batch, *next_batch;
	struct hcp_copy *copy, *next_copy;
	struct llist_node *list;

	list = llist_del_all(&origin->batch_done);
	llist_for_each_entry_safe(batch, next_batch, list, done)
		batch_settle(origin, batch);

	list = llist_del_all(&origin->dropped);
	llist_for_each_entry_safe(copy, next_copy, list, done)
		copy_settled(copy, copy->dropped);

	mod_delayed_work(origin->wq, &origin->store_work, 0);
}
