// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copy before write.  A write that needs no copy passes at once, in the context of
 * whoever submits it.  Any other is stolen and queued: the hook never waits, since it
 * may run beneath another driver's submission.
 */
#include <linux/blkdev.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/wait_bit.h>

#include "chain.h"
#include "copy.h"
#include "cow.h"
#include "discard.h"
#include "hook.h"
#include "mutant.h"
#include "origin.h"
#include "snapshot.h"
#include "store.h"
#include "unit.h"
#include "writeback.h"

/*
 * Memory may be short for so long before the hot copies are given up for the origin;
 * and writes are held no longer for a store that does not grow.  Counted is the time
 * that we looked on, not that for which the machine itself stood still.
 */
#define HCP_SHORT_LIMIT		HZ
/* And a store that ends no write of ours for so long is given up. */
#define HCP_STUCK_LIMIT		(30 * HZ)
#define HCP_SHORT_RETRY		(HZ / 50 ?: 1)

/*
 * So many written units of a region make it dense: a sixteenth to a seventh.  Not the same
 * for all, or those of a file that is written at random would be read all at once.
 */
#define HCP_DENSE_LEAST		(HCP_REGION_UNITS / 16)
#define HCP_DENSE_SPREAD	(HCP_REGION_UNITS / 12)

/* A range as long as this is looked at by the worker, not by who submits. */
#define HCP_INLINE_SECTORS	(4 * HCP_REGION_UNITS * HCP_UNIT_SECTORS)

static void cow_enqueue(struct hcp_origin *origin, struct bio *bio)
{
	hcp_bio_clear_polled(bio);
	if (hcp_mutant(DROP_FLUSH))
		bio->bi_opf &= ~(REQ_PREFLUSH | REQ_FUA);
	spin_lock(&origin->pending_lock);
	bio_list_add(&origin->pending, bio);
	spin_unlock(&origin->pending_lock);
	mod_delayed_work(origin->wq, &origin->cow_work, 0);
}

/* Whether a write may go on to the device; what is in @from's queue was judged there. */
static bool cow_may_go(struct hcp_origin *origin, sector_t first, sector_t end,
		       const struct hcp_origin *from)
{
	/* Whoever passes on what he has of its queue was waited for before that is held. */
	if (origin == from)
		return true;
	/* Who sees it let go sees the new chain. */
	if (smp_load_acquire(&origin->held))
		return false;
	if (hcp_chain_is_idle(origin))
		return true;
	return (from || end - first <= HCP_INLINE_SECTORS) &&
	       hcp_chain_may_pass(origin, first, end);
}

/*
 * Takes @bio, which touches the sectors [first, end) of the origin, if it has to wait.
 * Called under RCU, by whoever submits, or by the worker of @from: nothing here may
 * sleep.
 */
bool hcp_cow_steal(struct hcp_origin *origin, struct bio *bio, sector_t first,
		   sector_t end, const struct hcp_origin *from)
{
	if (cow_may_go(origin, first, end, from))
		return false;
	/*
	 * Whoever submits does not wait here.  One that got EAGAIN would come again, and
	 * again, from io_uring without an end: nothing was copied meanwhile.
	 */
	bio->bi_opf &= ~REQ_NOWAIT;
	cow_enqueue(origin, bio);
	return true;
}

/*
 * Writes have proved dense here, so that one read for all of the neighbourhood is worth
 * more than one for each write.  cow_lock keeps @snap.
 */
static bool cow_is_dense(struct hcp_snap *snap, u64 unit)
{
	spinlock_t *lock = hcp_region_lock(snap->origin, unit);
	unsigned long index = hcp_region_index(unit);
	unsigned int least = HCP_DENSE_LEAST + hash_long(index, 16) % HCP_DENSE_SPREAD;
	bool dense;

	spin_lock(lock);
	dense = hcp_changed_weight(&snap->changed, index) >= least;
	spin_unlock(lock);
	return dense;
}

/* Starts to read what has to be copied of [unit, last); -EAGAIN, -ENOMEM. */
static int cow_start_copies(struct hcp_origin *origin, u64 unit, u64 last)
{
	struct hcp_needed needed;
	enum hcp_need need;
	int started;

	for (; unit < last; unit += needed.run) {
		spin_lock(hcp_region_lock(origin, unit));
		need = hcp_chain_need(origin, unit, hcp_region_clip(unit, last - unit),
				      &needed);
		spin_unlock(hcp_region_lock(origin, unit));
		if (need == HCP_NEED_COPY) {
			started = cow_is_dense(needed.snap, unit) ?
				  hcp_copy_start_around(origin, needed.snap, unit) : 0;
			if (!started)
				started = hcp_copy_start(origin, needed.snap, unit,
							 needed.run);
			if (started < 0)
				return started;
			if (started)
				origin->short_seen = 0;
			needed.run = started;
		}
		cond_resched();
	}
	return 0;
}

/* Has @bio wait for the first read that is under way in [unit, last), if any. */
static bool cow_park(struct hcp_origin *origin, struct bio *bio, u64 unit, u64 last)
{
	struct hcp_needed needed;
	enum hcp_need need;

	for (; unit < last; unit += needed.run) {
		spin_lock(hcp_region_lock(origin, unit));
		need = hcp_chain_need(origin, unit, hcp_region_clip(unit, last - unit),
				      &needed);
		if (need == HCP_NEED_WAIT)
			bio_list_add(&needed.copy->waiters, bio);
		spin_unlock(hcp_region_lock(origin, unit));
		if (need == HCP_NEED_WAIT)
			return true;
		cond_resched();
	}
	return false;
}

/* What to do with a stolen write. */
enum cow_verdict {
	COW_PASS,	/* nothing more is needed */
	COW_WAITS,	/* it waits for a copy */
	COW_AGAIN,	/* there is no memory for the copies it needs */
	COW_LATER,	/* the map of its region cannot grow: others may be luckier */
};

/* cow_lock is held: it keeps the hot copies. */
static enum cow_verdict cow_bio(struct hcp_origin *origin, struct bio *bio)
{
	sector_t first, end;
	u64 unit, last;
	int err;

	if (!hcp_origin_clip(origin, hcp_bio_disk(bio), hcp_bio_disk_sector(bio),
			     bio_sectors(bio), &first, &end))
		return COW_PASS;
	/* WRITE, WRITE_ZEROES, SECURE_ERASE, WRITE_SAME, and what may come: copy first. */
	if (hcp_mutant(SKIP_COPY) && end - first < HCP_UNIT_SECTORS)
		return COW_PASS;
	unit = hcp_unit_of(first);
	last = hcp_unit_behind(end);
	do {
		hcp_chain_reserve_marks(origin, first, end);
		err = cow_start_copies(origin, unit, last);
		if (err)
			return err == -EAGAIN ? COW_AGAIN : COW_LATER;
		if (hcp_mutant(WRITE_FIRST))
			return COW_PASS;
		if (cow_park(origin, bio, unit, last))
			return COW_WAITS;
	} while (!hcp_chain_may_pass(origin, first, end));
	return COW_PASS;
}

/* Notes that these sectors are written by something that needs no copy (any more). */
void hcp_cow_note(struct hcp_origin *origin, sector_t first, sector_t end)
{
	mutex_lock(&origin->cow_lock);
	do {
		hcp_chain_reserve_marks(origin, first, end);
	} while (!hcp_chain_note(origin, first, end));
	mutex_unlock(&origin->cow_lock);
}

/* COW_AGAIN, COW_LATER: no memory now, come again. */
static enum cow_verdict cow_serve(struct hcp_origin *origin, struct bio *bio)
{
	enum cow_verdict verdict;

	/* Advice: what would need a copy is left out, see discard.c. */
	if (bio_op(bio) == REQ_OP_DISCARD) {
		hcp_discard(origin, bio);
		return COW_PASS;
	}
	mutex_lock(&origin->cow_lock);
	verdict = cow_bio(origin, bio);
	mutex_unlock(&origin->cow_lock);
	hcp_copy_submit_reads(origin);
	/* Whoever throttles this write must not stop the removal of a hot copy. */
	if (verdict == COW_PASS)
		hcp_hook_route(bio, origin);
	return verdict;
}

/*
 * There is no memory for the next write.  Gives the hot copies up when there is no hope
 * for any: copies under way bring some when they are stored.
 */
static bool cow_may_wait(struct hcp_origin *origin)
{
	enum hcp_state state = HCP_STATE_FAILED;
	const char *failure = "no memory for copies";
	bool may;

	if (atomic_read(&origin->nr_copies) && !hcp_store_is_full(origin->store)) {
		origin->short_seen = 0;
		failure = "the space for changed blocks takes no data";
		may = time_before(jiffies, READ_ONCE(origin->progress) + HCP_STUCK_LIMIT);
	} else {
		origin->short_for = origin->short_seen ? origin->short_for +
			min(jiffies - origin->short_seen, 2UL * HCP_SHORT_RETRY) : 0;
		origin->short_seen = jiffies ?: 1;
		if (hcp_store_is_full(origin->store)) {
			state = HCP_STATE_OVERFLOW;
			failure = "the space for changed blocks is full, and did not grow in time";
		}
		may = origin->short_for < HCP_SHORT_LIMIT;
	}
	if (!may) {
		hcp_origin_fail(origin, state, failure);
		hcp_writeback_hurry(origin);
	}
	return may;
}

/*
 * The next write to look at, those that wait for memory (@starved) after all others;
 * NULL: none, or they are held.
 */
static struct bio *cow_next(struct hcp_origin *origin, bool *starved)
{
	struct bio *bio;

	if (smp_load_acquire(&origin->held))
		return NULL;
	spin_lock(&origin->pending_lock);
	bio = bio_list_pop(&origin->pending);
	*starved = !bio;
	if (!bio)
		bio = bio_list_pop(&origin->starved);
	spin_unlock(&origin->pending_lock);
	if (!bio)
		origin->short_seen = 0;
	return bio;
}

void hcp_cow_work(struct work_struct *work)
{
	struct hcp_origin *origin = container_of(to_delayed_work(work),
						 struct hcp_origin, cow_work);
	struct blk_plug plug;
	enum cow_verdict verdict;
	struct bio *bio;
	bool starved;
	int idx;

	blk_start_plug(&plug);
	for (;;) {
		idx = hcp_hook_enter();
		bio = cow_next(origin, &starved);
		verdict = bio ? cow_serve(origin, bio) : COW_PASS;
		hcp_hook_leave(idx);
		if (!bio)
			break;
		if (verdict == COW_PASS || verdict == COW_WAITS)
			continue;

		/* What needs no memory is not held up; who came first gets some first. */
		spin_lock(&origin->pending_lock);
		if (starved && verdict == COW_AGAIN)
			bio_list_add_head(&origin->starved, bio);
		else
			bio_list_add(&origin->starved, bio);
		spin_unlock(&origin->pending_lock);
		if (!starved || !cow_may_wait(origin))
			continue;
		hcp_writeback_hurry(origin);
		queue_delayed_work(origin->wq, &origin->cow_work, HCP_SHORT_RETRY);
		break;
	}
	blk_finish_plug(&plug);
	wake_up_var(&origin->pending);
}

/* Whether a stolen write is not let go yet, but for those that wait for a read. */
bool hcp_cow_has_pending(struct hcp_origin *origin)
{
	bool has;

	spin_lock(&origin->pending_lock);
	has = !bio_list_empty(&origin->pending) || !bio_list_empty(&origin->starved);
	spin_unlock(&origin->pending_lock);
	return has;
}

/* Memory has come free: those that wait for it may go on. */
void hcp_cow_kick(struct hcp_origin *origin)
{
	if (hcp_cow_has_pending(origin))
		mod_delayed_work(origin->wq, &origin->cow_work, 0);
}

/*
 * From here on no write to the origin is let go; hcp_hook_wait() for those that were
 * judged before.
 */
void hcp_cow_hold(struct hcp_origin *origin)
{
	if (!hcp_mutant(NO_HOLD))
		WRITE_ONCE(origin->held, true);
}

void hcp_cow_release(struct hcp_origin *origin)
{
	smp_store_release(&origin->held, false);
	mod_delayed_work(origin->wq, &origin->cow_work, 0);
}

/* The read these writes waited for is done. */
void hcp_cow_resume(struct hcp_origin *origin, struct bio_list *bios)
{
	int idx = hcp_hook_enter();
	sector_t first, end;
	struct bio *bio;

	while ((bio = bio_list_pop(bios))) {
		if (hcp_origin_clip(origin, hcp_bio_disk(bio), hcp_bio_disk_sector(bio),
				    bio_sectors(bio), &first, &end) &&
		    (smp_load_acquire(&origin->held) ||
		     !hcp_chain_may_pass(origin, first, end)))
			cow_enqueue(origin, bio);
		else
			hcp_hook_route(bio, origin);
	}
	hcp_hook_leave(idx);
}
