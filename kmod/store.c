// SPDX-License-Identifier: GPL-2.0-or-later
/* The store: which of its space is in use; see store.h. */
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "event.h"
#include "store.h"
#include "unit.h"

/* A store that is full waits so long for the keeper; see also cow_may_wait(). */
#define HCP_GROW_LIMIT		(10 * HZ)

/*
 * So much free is enough: half of the store, or 2 GiB; of a small one, which fills
 * before anybody has woken up, three quarters.
 */
#define HCP_ENOUGH_UNITS	(2ULL << (30 - HCP_UNIT_SHIFT))
#define HCP_SMALL_UNITS		(64ULL << (20 - HCP_UNIT_SHIFT))

/* An empty store. */
struct hcp_store *hcp_store_new(bool fixed)
{
	struct hcp_store *store = kzalloc(sizeof(*store), GFP_KERNEL);

	if (store) {
		spin_lock_init(&store->lock);
		store->fixed = fixed;
	}
	return store;
}

/* Nothing may be in flight to the store any more. */
void hcp_store_close(struct hcp_store *store)
{
	unsigned int i;

	for (i = 0; i < store->nr; i++)
		hcp_segment_unlist(store->segment[i]);
	synchronize_rcu();
	while (store->nr)
		hcp_segment_close(store->segment[--store->nr]);
	kfree(store);
}

/* @lock is held. */
static void look_at_space(struct hcp_store *store)
{
	u64 unused = store->nr_units - store->nr_used;
	u64 half = store->nr_units / 2;
	u64 enough = store->nr_units < HCP_SMALL_UNITS ? half + half / 2 :
							 min(half, HCP_ENOUGH_UNITS);
	bool wants = !store->fixed && unused < enough;

	if (wants && !store->wants_space)
		hcp_event();
	WRITE_ONCE(store->wants_space, wants);
	if (unused)
		store->full_since = 0;
}

/* The store has @segment, too.  -ENOSPC: it has as many as it can. */
int hcp_store_add(struct hcp_store *store, struct hcp_segment *segment)
{
	if (store->nr == HCP_MAX_SEGMENTS)
		return -ENOSPC;
	spin_lock(&store->lock);
	segment->base = store->nr_units;
	store->segment[store->nr] = segment;
	store->nr_units += segment->nr_units;
	/* Whoever sees the number sees the segment: hcp_store_place(). */
	smp_store_release(&store->nr, store->nr + 1);
	look_at_space(store);
	spin_unlock(&store->lock);
	return 0;
}

/* @lock is held. */
static u64 segment_alloc(struct hcp_segment *segment, unsigned int want, unsigned int *got)
{
	const struct hcp_run *run;
	u64 unit, end, limit;

	unit = find_next_zero_bit(segment->used_map, segment->nr_units, segment->cursor);
	if (unit >= segment->nr_units)
		unit = find_first_zero_bit(segment->used_map, segment->nr_units);
	run = hcp_segment_run(segment, unit);
	limit = min(unit + want, run->unit + run->nr_units);
	end = find_next_bit(segment->used_map, limit, unit);
	bitmap_set(segment->used_map, unit, end - unit);
	segment->nr_used += end - unit;
	segment->cursor = end;
	*got = end - unit;
	return segment->base + unit;
}

/* Up to @want units that are contiguous on the device; HCP_STORE_FULL when none. */
u64 hcp_store_alloc(struct hcp_store *store, unsigned int want, unsigned int *got)
{
	u64 unit = HCP_STORE_FULL;
	unsigned int i;

	spin_lock(&store->lock);
	for (i = 0; i < store->nr; i++)
		if (store->segment[i]->nr_used < store->segment[i]->nr_units)
			break;
	if (i < store->nr) {
		unit = segment_alloc(store->segment[i], want, got);
		store->nr_used += *got;
	} else {
		/* Whoever tried last gave up long ago: the waiting begins anew. */
		if (!store->full_since || time_after(jiffies, store->full_seen + HZ)) {
			store->full_since = jiffies | 1;
			hcp_event();
		}
		store->full_seen = jiffies;
	}
	look_at_space(store);
	spin_unlock(&store->lock);
	return unit;
}

/* The segment that holds @unit. */
static struct hcp_segment *segment_of(struct hcp_store *store, u64 unit)
{
	unsigned int low = 0, high = smp_load_acquire(&store->nr) - 1;

	while (low < high) {
		unsigned int mid = (low + high + 1) / 2;

		if (store->segment[mid]->base <= unit)
			low = mid;
		else
			high = mid - 1;
	}
	return store->segment[low];
}

void hcp_store_free(struct hcp_store *store, u64 unit, u64 count)
{
	u64 run;

	spin_lock(&store->lock);
	for (; count; unit += run, count -= run) {
		struct hcp_segment *segment = segment_of(store, unit);

		run = min(count, segment->base + segment->nr_units - unit);
		bitmap_clear(segment->used_map, unit - segment->base, run);
		segment->nr_used -= run;
		store->nr_used -= run;
	}
	look_at_space(store);
	spin_unlock(&store->lock);
}

/* Whether nothing more has gone in since somebody tried. */
bool hcp_store_is_full(struct hcp_store *store)
{
	return READ_ONCE(store->full_since);
}

/* Whether there is room for what nobody may ever need: it may never be more. */
bool hcp_store_has_plenty(struct hcp_store *store)
{
	bool plenty;

	spin_lock(&store->lock);
	plenty = store->nr_used < store->nr_units / 2;
	spin_unlock(&store->lock);
	return plenty;
}

/* Whether somebody who finds the store full had better try again in a moment. */
bool hcp_store_may_grow(struct hcp_store *store)
{
	bool may;

	spin_lock(&store->lock);
	may = !store->fixed && hcp_event_has_keeper() &&
	      (!store->full_since ||
	       time_before(jiffies, store->full_since + HCP_GROW_LIMIT));
	spin_unlock(&store->lock);
	return may;
}

/* Its size, and how much of it is in use. */
void hcp_store_size(struct hcp_store *store, u64 *nr_units, u64 *nr_used)
{
	spin_lock(&store->lock);
	*nr_units = store->nr_units;
	*nr_used = store->nr_used;
	spin_unlock(&store->lock);
}

/* Where up to @count units from @unit on are. */
void hcp_store_place(struct hcp_store *store, u64 unit, unsigned int count,
		     struct hcp_place *place)
{
	const struct hcp_segment *segment = segment_of(store, unit);

	place->run = count;
	place->bdev = segment->bdev;
	place->sector = hcp_segment_sector(segment, unit - segment->base, &place->run);
}
