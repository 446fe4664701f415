// SPDX-License-Identifier: GPL-2.0-or-later
/* The chain of hot copies of an origin; see chain.h. */
#include <linux/slab.h>

#include "chain.h"
#include "copy.h"
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

	held = hcp_store_holds(origin->disk, origin->start + hcp_unit_sector(unit),
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
		if (READ_ONCE(snap->dying))
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

/* Whether a write to these sectors of the origin needs nothing more. */
bool hcp_chain_has_all(struct hcp_origin *origin, sector_t first, sector_t end)
{
	u64 unit = hcp_unit_of(first), last = hcp_unit_behind(end);
	struct hcp_needed needed;
	enum hcp_need need;

	for (; unit < last; unit += needed.run) {
		spin_lock(hcp_region_lock(origin, unit));
		need = hcp_chain_need(origin, unit, hcp_region_clip(unit, last - unit),
				      &needed);
		spin_unlock(hcp_region_lock(origin, unit));
		if (need != HCP_NEED_NOTHING)
			return false;
	}
	return true;
}

/*
 * Where @snap finds @unit of the origin's old data: in itself, else in the next
 * newer one that has it, else (NULL) on the origin.  The region's lock is held.
 */
const struct hcp_extent *hcp_chain_find(const struct hcp_snap *snap, u64 unit,
					unsigned int *run)
{
	const struct hcp_extent *e = NULL;
	const struct hcp_chain *chain;
	unsigned int i;

	rcu_read_lock();
	chain = rcu_dereference(snap->origin->chain);
	for (i = 0; i < chain->nr && chain->snap[i] != snap; i++)
		;
	for (; i < chain->nr && !e; i++)
		e = hcp_map_find(&chain->snap[i]->preserved, unit, run);
	rcu_read_unlock();
	return e;
}

/* One extent of @from: @to gets what it has not got itself, the rest is freed. */
static int hand_over_extent(struct hcp_origin *origin, struct hcp_snap *to, u64 unit,
			    const struct hcp_extent *e)
{
	unsigned int done, run;
	int err;

	for (done = 0; done < e->count; done += run) {
		run = e->count - done;
		if (to && !hcp_map_find(&to->preserved, unit + done, &run)) {
			err = hcp_map_set(&to->preserved, unit + done, run, e->state,
					  e->copy, e->store + done);
			if (err)
				return err;
			atomic64_add(run, &to->preserved_units);
			if (hcp_extent_is_copy(e))
				e->copy->snap = to;
		} else if (e->state == HCP_EXTENT_STORED) {
			hcp_store_free(origin->store, e->store + done, run);
		}
	}
	return 0;
}

static int hand_over_region(struct hcp_origin *origin, struct hcp_snap *from,
			    struct hcp_snap *to, unsigned long index,
			    const struct hcp_region *region)
{
	u64 first = (u64)index << HCP_REGION_SHIFT;
	unsigned int i;
	int err;

	for (i = 0; i < region->nr; i++)
		if (hcp_extent_is_copy(&region->extent[i]))
			region->extent[i].copy->snap = NULL;
	for (i = 0; i < region->nr; i++) {
		const struct hcp_extent *e = &region->extent[i];

		err = hand_over_extent(origin, to, first + e->first, e);
		if (WARN_ON_ONCE(err))
			return err;
	}
	return 0;
}

/* How many more extents @to may need at most for the pieces of @from; lock held. */
static unsigned int hand_over_room(struct hcp_map *from, struct hcp_map *to,
				   unsigned long index)
{
	const struct hcp_region *a = xa_load(&from->regions, index);
	const struct hcp_region *b = xa_load(&to->regions, index);

	return a->nr + (b ? b->nr : 0) + HCP_MAP_ROOM;
}

/*
 * Everything @from preserved goes to @to, the next older one (NULL: there is none).
 * @from takes no new copies any more (dying).  Entries move, data does not.
 * -ENOMEM: some have moved, all are still found; try again.
 */
int hcp_chain_hand_over(struct hcp_origin *origin, struct hcp_snap *from,
			struct hcp_snap *to)
{
	struct hcp_region *region;
	unsigned long index = 0;
	unsigned int room;
	spinlock_t *lock;
	int err;

	while (xa_find(&from->preserved.regions, &index, ULONG_MAX, XA_PRESENT)) {
		lock = hcp_region_lock(origin, (u64)index << HCP_REGION_SHIFT);
		spin_lock(lock);
		while (to) {
			room = hand_over_room(&from->preserved, &to->preserved, index);
			if (hcp_map_has_room(&to->preserved, index, room))
				break;
			spin_unlock(lock);
			err = hcp_map_reserve(&to->preserved, lock, index, room, GFP_KERNEL);
			if (err)
				return err;
			spin_lock(lock);
		}
		region = xa_load(&from->preserved.regions, index);
		err = hand_over_region(origin, from, to, index, region);
		if (!err)
			hcp_map_take(&from->preserved, index);
		spin_unlock(lock);
		if (err)
			return err;
		kfree(region);
		cond_resched();
	}
	return 0;
}
