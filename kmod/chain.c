// SPDX-License-Identifier: GPL-2.0-or-later
/* The chain of hot copies of an origin; see chain.h. */
#include <linux/slab.h>

#include "chain.h"
#include "copy.h"
#include "mutant.h"
#include "origin.h"
#include "snapshot.h"
#include "store.h"
#include "unit.h"

struct hcp_chain *hcp_chain_alloc(unsigned int nr, gfp_t gfp)
{
	struct hcp_chain *chain;

	return kzalloc(struct_size(chain, snap, nr), gfp);
}

/*
 * The flip: @newest joins the chain.  @chain has room for one more than the present
 * one.  Nothing is allocated and nothing waited for: filesystems are frozen.
 */
void hcp_chain_swap_in(struct hcp_origin *origin, struct hcp_chain *chain,
		       struct hcp_snap *newest)
{
	struct hcp_chain *old;
	unsigned int i;

	spin_lock(&origin->chain_lock);
	old = rcu_dereference_protected(origin->chain,
					lockdep_is_held(&origin->chain_lock));
	chain->nr = 0;
	for (i = 0; !old->dead && i < old->nr; i++)
		chain->snap[chain->nr++] = old->snap[i];
	chain->snap[chain->nr++] = newest;
	newest->state = HCP_STATE_ACTIVE;
	rcu_assign_pointer(origin->chain, chain);
	spin_unlock(&origin->chain_lock);
	kfree_rcu(old, rcu);
}

/* @snap leaves the chain, if it is in it.  @chain has room for all the others. */
void hcp_chain_swap_out(struct hcp_origin *origin, struct hcp_chain *chain,
			const struct hcp_snap *snap)
{
	struct hcp_chain *old;
	unsigned int i;

	spin_lock(&origin->chain_lock);
	old = rcu_dereference_protected(origin->chain,
					lockdep_is_held(&origin->chain_lock));
	chain->nr = 0;
	chain->dead = old->dead;
	for (i = 0; i < old->nr; i++)
		if (old->snap[i] != snap)
			chain->snap[chain->nr++] = old->snap[i];
	rcu_assign_pointer(origin->chain, chain);
	spin_unlock(&origin->chain_lock);
	kfree_rcu(old, rcu);
}

/* The next older live hot copy, or NULL; hcp_control_lock is held. */
struct hcp_snap *hcp_chain_older(struct hcp_origin *origin, const struct hcp_snap *snap)
{
	struct hcp_snap *older = NULL;
	struct hcp_chain *chain;
	unsigned int i;

	rcu_read_lock();
	chain = rcu_dereference(origin->chain);
	for (i = 1; i < chain->nr; i++)
		if (chain->snap[i] == snap)
			older = chain->snap[i - 1];
	rcu_read_unlock();
	return older;
}

/* How many of @run units from @unit on the origin's disk are not those of a store. */
static bool unit_is_stores(const struct hcp_origin *origin, u64 unit, unsigned int *run)
{
	sector_t same;
	bool held;

	held = hcp_segments_hold(origin->disk, origin->start + hcp_unit_sector(unit),
				 hcp_unit_sector(*run), &same);
	/* A store's runs are whole units here, but another origin's need not be. */
	if (same < HCP_UNIT_SECTORS) {
		*run = 1;
		return false;
	}
	*run = min_t(u64, *run, hcp_unit_of(same));
	return held;
}

/* The copy that one of the first @nr hot copies is reading @unit for, or NULL. */
static struct hcp_copy *chain_reading(const struct hcp_chain *chain, unsigned int nr,
				      u64 unit, unsigned int *run)
{
	const struct hcp_extent *e;

	while (nr-- > 0) {
		e = hcp_map_find(&chain->snap[nr]->preserved, unit, run);
		if (e && e->state == HCP_EXTENT_READING)
			return e->copy;
	}
	return NULL;
}

/*
 * What a write to [unit, unit + count), which lies in one region, needs first.  The
 * region's lock is held.  needed->snap lasts as long as cow_lock is held.
 */
enum hcp_need hcp_chain_need(struct hcp_origin *origin, u64 unit, unsigned int count,
			     struct hcp_needed *needed)
{
	enum hcp_need need = HCP_NEED_NOTHING;
	const struct hcp_chain *chain;
	unsigned int i;

	needed->run = count;
	rcu_read_lock();
	chain = rcu_dereference(origin->chain);
	for (i = READ_ONCE(chain->dead) ? 0 : chain->nr; i-- > 0;) {
		struct hcp_snap *snap = chain->snap[i];
		const struct hcp_extent *e;

		e = hcp_map_find(&snap->preserved, unit, &needed->run);
		if (e && e->state == HCP_EXTENT_READING) {
			needed->copy = e->copy;
			need = HCP_NEED_WAIT;
		}
		if (e)
			break;
		if (READ_ONCE(snap->dying) || hcp_snap_is_free(snap, unit, &needed->run))
			continue;
		if (unit_is_stores(origin, unit, &needed->run))
			break;
		/* What an older one is still reading must not be let go by a newer one. */
		needed->copy = chain_reading(chain, i, unit, &needed->run);
		needed->snap = snap;
		need = needed->copy ? HCP_NEED_WAIT : HCP_NEED_COPY;
		break;
	}
	rcu_read_unlock();
	return need;
}

/* Whether no write to the origin needs anything: there is no hot copy alive. */
bool hcp_chain_is_idle(struct hcp_origin *origin)
{
	const struct hcp_chain *chain;
	bool idle;

	rcu_read_lock();
	chain = rcu_dereference(origin->chain);
	idle = READ_ONCE(chain->dead) || !chain->nr;
	rcu_read_unlock();
	return idle;
}

/* Notes that these units are written, which lie in one region; its lock is held. */
static bool chain_mark(struct hcp_origin *origin, u64 unit, unsigned int count)
{
	const struct hcp_chain *chain;
	bool marked = true;

	rcu_read_lock();
	chain = rcu_dereference(origin->chain);
	if (chain->nr && !READ_ONCE(chain->dead) && !(hcp_mutant(FORGET_MARK) && count > 1))
		marked = hcp_changed_mark(&chain->snap[chain->nr - 1]->changed, unit, count);
	rcu_read_unlock();
	return marked;
}

/*
 * Makes room to note that these sectors are written; cow_lock keeps the newest hot
 * copy.  Another may be newer before they are, so that it still has to be asked.
 */
void hcp_chain_reserve_marks(struct hcp_origin *origin, sector_t first, sector_t end)
{
	unsigned long index = hcp_region_index(hcp_unit_of(first));
	unsigned long last = hcp_region_index(hcp_unit_behind(end) - 1);
	struct hcp_snap *newest = NULL;
	const struct hcp_chain *chain;

	rcu_read_lock();
	chain = rcu_dereference(origin->chain);
	if (chain->nr && !READ_ONCE(chain->dead))
		newest = chain->snap[chain->nr - 1];
	rcu_read_unlock();
	for (; newest && index <= last; index++) {
		hcp_changed_reserve(&newest->changed, index,
				    GFP_NOIO | __GFP_NOWARN | __GFP_NORETRY);
		cond_resched();
	}
}

/* Notes that these sectors are written; false: hcp_chain_reserve_marks() first. */
bool hcp_chain_note(struct hcp_origin *origin, sector_t first, sector_t end)
{
	u64 unit = hcp_unit_of(first), last = hcp_unit_behind(end);
	bool marked = true;
	unsigned int run;

	for (; unit < last && marked; unit += run) {
		run = hcp_region_clip(unit, last - unit);
		spin_lock(hcp_region_lock(origin, unit));
		marked = chain_mark(origin, unit, run);
		spin_unlock(hcp_region_lock(origin, unit));
	}
	return marked;
}

/* Whether all of these units are a store's: what goes there changes nothing of the origin. */
static bool only_stores(const struct hcp_origin *origin, u64 unit, unsigned int count)
{
	unsigned int run = count;

	return unit_is_stores(origin, unit, &run) && run == count;
}

/*
 * Whether a write to these sectors of the origin needs nothing more and may pass.  If
 * so it is noted; if not, some of it may be, since it will pass in the end.  A remainder
 * of our own write to a store never waits: writes that do wait for it.
 */
bool hcp_chain_may_pass(struct hcp_origin *origin, sector_t first, sector_t end)
{
	u64 unit = hcp_unit_of(first), last = hcp_unit_behind(end);
	struct hcp_needed needed;
	bool may = true;

	for (; unit < last && may; unit += needed.run) {
		spin_lock(hcp_region_lock(origin, unit));
		may = hcp_chain_need(origin, unit, hcp_region_clip(unit, last - unit),
				     &needed) == HCP_NEED_NOTHING &&
		      (chain_mark(origin, unit, needed.run) ||
		       only_stores(origin, unit, needed.run));
		spin_unlock(hcp_region_lock(origin, unit));
	}
	return may;
}

static const struct hcp_extent free_extent = { .state = HCP_EXTENT_FREE };

/*
 * Where @snap finds @unit of the origin's old data: nowhere when it was free, else in
 * itself, else in the next newer one that has it, else (NULL) on the origin.  The
 * region's lock is held.
 */
const struct hcp_extent *hcp_chain_find(const struct hcp_snap *snap, u64 unit,
					unsigned int *run)
{
	const struct hcp_extent *e = NULL;
	const struct hcp_chain *chain;
	unsigned int i;

	if (hcp_snap_is_free(snap, unit, run))
		return &free_extent;
	rcu_read_lock();
	chain = rcu_dereference(snap->origin->chain);
	for (i = 0; i < chain->nr && chain->snap[i] != snap; i++)
		;
	for (; i < chain->nr && !e; i++) {
		e = hcp_map_find(&chain->snap[i]->preserved, unit, run);
		if (hcp_mutant(FORGET_CHAIN))
			break;
	}
	rcu_read_unlock();
	return e;
}

/*
 * Whether @to or an older one needs what @to has not got of @unit.  What is free in
 * @to may not have been in an older one, which then finds it there.
 */
static bool chain_wants(struct hcp_origin *origin, const struct hcp_snap *to, u64 unit,
			unsigned int *run)
{
	const struct hcp_chain *chain;
	bool wants = false;
	unsigned int i;

	rcu_read_lock();
	chain = rcu_dereference(origin->chain);
	for (i = chain->nr; i > 0 && chain->snap[i - 1] != to; i--)
		;
	while (i-- > 0 && !wants) {
		struct hcp_snap *snap = chain->snap[i];

		if (hcp_map_find(&snap->preserved, unit, run))
			break;
		wants = !hcp_snap_is_free(snap, unit, run);
	}
	rcu_read_unlock();
	return wants;
}

/* Whether @to gets the units of @e from @unit on; @run: for how many it is good. */
static bool to_be_moved(struct hcp_origin *origin, struct hcp_snap *to, u64 unit,
			const struct hcp_extent *e, unsigned int *run)
{
	if (!to || hcp_mutant(FORGET_HEIR))
		return false;
	/* A copy has one hot copy it is made for: its parts stay together. */
	if (hcp_extent_is_copy(e))
		return !hcp_map_find(&to->preserved, unit, run);
	return chain_wants(origin, to, unit, run);
}

/*
 * One extent of @from: @to gets what is not there yet but needed, the rest is freed.
 * False: there was no room for some of it, which is lost.
 */
static bool hand_over_extent(struct hcp_origin *origin, struct hcp_snap *to, u64 unit,
			     const struct hcp_extent *e)
{
	unsigned int done, run;
	bool moves, all = true;

	for (done = 0; done < e->count; done += run) {
		run = e->count - done;
		moves = to_be_moved(origin, to, unit + done, e, &run);
		if (moves && hcp_map_set(&to->preserved, unit + done, run, e->state, e->copy,
					 e->store + done)) {
			moves = false;
			all = false;
		}
		if (moves) {
			atomic64_add(run, &to->preserved_units);
			if (hcp_extent_is_copy(e))
				e->copy->snap = to;
		} else if (e->state == HCP_EXTENT_STORED && !hcp_mutant(KEEP_STORE)) {
			hcp_store_free(origin->store, e->store + done, run);
		}
	}
	return all;
}

/* To the end in any case: what has moved must not be found, and freed, again. */
static bool hand_over_region(struct hcp_origin *origin, struct hcp_snap *to,
			     unsigned long index, const struct hcp_region *region)
{
	u64 first = (u64)index << HCP_REGION_SHIFT;
	bool all = true;
	unsigned int i;

	for (i = 0; i < region->nr; i++)
		if (hcp_extent_is_copy(&region->extent[i]))
			region->extent[i].copy->snap = NULL;
	for (i = 0; i < region->nr; i++) {
		const struct hcp_extent *e = &region->extent[i];

		if (!hand_over_extent(origin, to, first + e->first, e))
			all = false;
	}
	return all;
}

/* How many extents @to gets of @region; the region's lock is held. */
static unsigned int hand_over_room(struct hcp_origin *origin, struct hcp_snap *to,
				   unsigned long index, const struct hcp_region *region)
{
	unsigned int i, done, run, room = HCP_MAP_ROOM;

	for (i = 0; i < region->nr; i++) {
		const struct hcp_extent *e = &region->extent[i];
		u64 unit = ((u64)index << HCP_REGION_SHIFT) + e->first;

		for (done = 0; done < e->count; done += run) {
			run = e->count - done;
			if (to_be_moved(origin, to, unit + done, e, &run))
				room++;
		}
	}
	return room;
}

/*
 * Everything @from preserved goes to @to, the next older one (NULL: there is none).
 * @from takes no new copies any more (dying).  Entries move, data does not.
 * -ENOMEM: some have moved, some of the others may be lost; again, for nobody.
 */
int hcp_chain_hand_over(struct hcp_origin *origin, struct hcp_snap *from,
			struct hcp_snap *to)
{
	struct hcp_region *region;
	unsigned long index = 0;
	unsigned int room;
	spinlock_t *lock;
	bool all;
	int err;

	while (xa_find(&from->preserved.regions, &index, ULONG_MAX, XA_PRESENT)) {
		lock = hcp_region_lock(origin, (u64)index << HCP_REGION_SHIFT);
		spin_lock(lock);
		while (to) {
			room = hand_over_room(origin, to, index,
					      xa_load(&from->preserved.regions, index));
			/* Nothing moves, or there is room for it. */
			if (room == HCP_MAP_ROOM ||
			    hcp_map_has_room(&to->preserved, index, room))
				break;
			spin_unlock(lock);
			err = hcp_map_reserve(&to->preserved, lock, index, room, GFP_KERNEL);
			if (err)
				return err;
			spin_lock(lock);
		}
		region = xa_load(&from->preserved.regions, index);
		all = hand_over_region(origin, to, index, region);
		hcp_map_take(&from->preserved, index);
		spin_unlock(lock);
		hcp_region_free(region);
		if (WARN_ON_ONCE(!all))
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}
