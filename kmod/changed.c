// SPDX-License-Identifier: GPL-2.0-or-later
/* What was written; see changed.h. */
#include <linux/slab.h>

#include "changed.h"
#include "mutant.h"
#include "origin.h"

/* In place of a bitmap with every bit set. */
static void *all_written(void)
{
	return xa_mk_value(1);
}

void hcp_changed_init(struct hcp_changed *changed)
{
	xa_init(&changed->regions);
	changed->lost = false;
}

void hcp_changed_destroy(struct hcp_changed *changed)
{
	unsigned long index;
	void *entry;

	xa_for_each(&changed->regions, index, entry)
		if (!xa_is_value(entry) && !hcp_mutant(LEAK_OBJECT))
			kfree(entry);
	xa_destroy(&changed->regions);
}

bool hcp_changed_has_room(struct hcp_changed *changed, unsigned long index)
{
	return READ_ONCE(changed->lost) || xa_load(&changed->regions, index);
}

/* Makes sure that marks can be made at @index; called without the region's lock. */
void hcp_changed_reserve(struct hcp_changed *changed, unsigned long index, gfp_t gfp)
{
	struct hcp_written *written;
	int err = -ENOMEM;

	if (hcp_changed_has_room(changed, index))
		return;
	written = kzalloc(sizeof(*written), gfp);
	if (written)
		err = xa_insert(&changed->regions, index, written, gfp);
	if (err)
		kfree(written);
	/* The hot copy does not need it; only who asks what has changed does. */
	if (err && err != -EBUSY)
		WRITE_ONCE(changed->lost, true);
}

/* False: hcp_changed_reserve() first.  [unit, unit + count) lies in one region. */
bool hcp_changed_mark(struct hcp_changed *changed, u64 unit, unsigned int count)
{
	unsigned long index = hcp_region_index(unit);
	unsigned int offset = hcp_region_offset(unit);
	struct hcp_written *written = xa_load(&changed->regions, index);

	if (!written)
		return READ_ONCE(changed->lost);
	if (xa_is_value(written) ||
	    find_next_zero_bit(written->units, offset + count, offset) == offset + count)
		return true;
	bitmap_set(written->units, offset, count);
	if (bitmap_full(written->units, HCP_REGION_UNITS)) {
		/* The slot is there, so that nothing is allocated. */
		xa_store(&changed->regions, index, all_written(), GFP_NOWAIT);
		kfree(written);
	}
	return true;
}

/* How many units of the region at @index were written. */
unsigned int hcp_changed_weight(struct hcp_changed *changed, unsigned long index)
{
	const struct hcp_written *written = xa_load(&changed->regions, index);

	if (!written)
		return 0;
	return xa_is_value(written) ? HCP_REGION_UNITS :
				      bitmap_weight(written->units, HCP_REGION_UNITS);
}

/* Adds the written units of the region at @index to @written. */
void hcp_changed_union(struct hcp_changed *changed, unsigned long index,
		       struct hcp_written *written)
{
	const struct hcp_written *entry = xa_load(&changed->regions, index);

	if (!entry)
		return;
	if (xa_is_value(entry))
		bitmap_fill(written->units, HCP_REGION_UNITS);
	else
		bitmap_or(written->units, written->units, entry->units, HCP_REGION_UNITS);
}

/* The next region from *@index on that has something, if any. */
bool hcp_changed_next(struct hcp_changed *changed, unsigned long *index)
{
	return xa_find(&changed->regions, index, ULONG_MAX, XA_PRESENT);
}

/*
 * What @from has goes to @to, too: @from leaves the chain, @to is the next older one.
 * May sleep; both are kept by the caller.
 */
void hcp_changed_merge(struct hcp_origin *origin, struct hcp_changed *from,
		       struct hcp_changed *to)
{
	unsigned long index = 0;
	unsigned int bit, end;
	spinlock_t *lock;

	if (READ_ONCE(from->lost))
		WRITE_ONCE(to->lost, true);
	for (; hcp_changed_next(from, &index); index++) {
		u64 first = (u64)index << HCP_REGION_SHIFT;
		struct hcp_written all = {};

		hcp_changed_reserve(to, index, GFP_KERNEL);
		lock = hcp_region_lock(origin, first);
		spin_lock(lock);
		hcp_changed_union(from, index, &all);
		for (bit = find_first_bit(all.units, HCP_REGION_UNITS);
		     bit < HCP_REGION_UNITS;
		     bit = find_next_bit(all.units, HCP_REGION_UNITS, end)) {
			end = find_next_zero_bit(all.units, HCP_REGION_UNITS, bit);
			hcp_changed_mark(to, first + bit, end - bit);
		}
		spin_unlock(lock);
		cond_resched();
		if (index == ULONG_MAX)
			break;
	}
}
