// SPDX-License-Identifier: GPL-2.0-or-later
/* What is told of hot copies, their stores, and what has changed since; see info.h. */
#include <linux/mm.h>
#include <linux/slab.h>

#include "changed.h"
#include "disk.h"
#include "info.h"
#include "origin.h"
#include "snapshot.h"
#include "store.h"
#include "unit.h"

/* hcp_control_lock is held, here and below. */
void hcp_snap_info(struct hcp_snap *snap, struct hcp_ioc_info *info)
{
	struct hcp_origin *origin = snap->origin;
	struct hcp_store *store = origin->store;
	const struct hcp_segment *first = store->segment[0];
	u64 nr_units, nr_used;

	hcp_store_size(store, &nr_units, &nr_used);
	info->minor = snap->minor;
	info->flags = (snap->read_only ? HCP_INFO_READ_ONLY : 0) |
		      (hcp_disk_is_open(snap) ? HCP_INFO_OPEN : 0) |
		      (snap->free ? HCP_INFO_FREE_KNOWN : 0) |
		      (READ_ONCE(store->wants_space) ? HCP_INFO_WANTS_SPACE : 0) |
		      (store->fixed ? HCP_INFO_FIXED_STORE : 0) |
		      (READ_ONCE(snap->changed.lost) ? HCP_INFO_CHANGED_LOST : 0);
	info->dev_major = snap->disk->major;
	info->dev_minor = snap->disk->first_minor;
	info->origin_major = MAJOR(origin->bdev->bd_dev);
	info->origin_minor = MINOR(origin->bdev->bd_dev);
	info->store_major = MAJOR(first->bdev->bd_dev);
	info->store_minor = MINOR(first->bdev->bd_dev);
	info->floor_percent = snap->floor_percent;
	info->sequence = snap->sequence;
	info->created_ns = snap->created_ns;
	info->frozen_ns = snap->frozen_ns;
	info->nr_sectors = snap->nr_sectors;
	info->preserved_bytes = (u64)atomic64_read(&snap->preserved_units) << HCP_UNIT_SHIFT;
	info->private_bytes = (u64)atomic64_read(&snap->private_units) << HCP_UNIT_SHIFT;
	info->store_bytes = nr_units << HCP_UNIT_SHIFT;
	info->store_used_bytes = nr_used << HCP_UNIT_SHIFT;
	info->free_bytes = snap->free ? snap->free->nr_units << HCP_UNIT_SHIFT : 0;
	info->growths = store->nr - 1;
	info->in_flight_bytes = (u64)atomic_read(&origin->units_in_flight) << HCP_UNIT_SHIFT;
	strscpy(info->path, snap->path, sizeof(info->path));
	strscpy(info->store_path, snap->store_path, sizeof(info->store_path));

	spin_lock(&origin->chain_lock);
	info->state = snap->state;
	strscpy(info->reason, snap->failure, sizeof(info->reason));
	spin_unlock(&origin->chain_lock);
}

/* -ENXIO: there is no such segment. */
int hcp_info_store(struct hcp_snap *snap, struct hcp_ioc_store *info)
{
	struct hcp_store *store = snap->origin->store;
	const struct hcp_segment *segment;
	const struct inode *inode;

	if (info->index >= store->nr)
		return -ENXIO;
	segment = store->segment[info->index];
	inode = file_inode(segment->file);
	info->dev_major = MAJOR(segment->bdev->bd_dev);
	info->dev_minor = MINOR(segment->bdev->bd_dev);
	info->ino = S_ISREG(inode->i_mode) ? inode->i_ino : 0;
	info->bytes = segment->nr_units << HCP_UNIT_SHIFT;
	info->used_bytes = READ_ONCE(segment->nr_used) << HCP_UNIT_SHIFT;
	return 0;
}

/* The hot copies whose changes are wanted: of one origin, and not older than the first. */
struct changed_since {
	struct hcp_origin *origin;
	u64 from;		/* sequence of the first */
	u64 until;		/* and of the one it ends before */
};

static bool is_wanted(const struct changed_since *since, const struct hcp_snap *snap)
{
	return snap->origin == since->origin && snap->sequence >= since->from &&
	       snap->sequence < since->until;
}

/* The next region from *@index on in which anything was written. */
static bool next_changed(const struct changed_since *since, unsigned long *index)
{
	unsigned long lowest = ULONG_MAX, at;
	struct hcp_snap *snap;
	bool any = false;

	list_for_each_entry(snap, &hcp_snaps, node) {
		at = *index;
		if (!is_wanted(since, snap) || !hcp_changed_next(&snap->changed, &at))
			continue;
		lowest = min(lowest, at);
		any = true;
	}
	*index = lowest;
	return any;
}

static void union_changed(const struct changed_since *since, unsigned long index,
			  struct hcp_written *written)
{
	spinlock_t *lock = hcp_region_lock(since->origin, (u64)index << HCP_REGION_SHIFT);
	struct hcp_snap *snap;

	memset(written, 0, sizeof(*written));
	spin_lock(lock);
	list_for_each_entry(snap, &hcp_snaps, node)
		if (is_wanted(since, snap))
			hcp_changed_union(&snap->changed, index, written);
	spin_unlock(lock);
}

/* Adds what was written of a region, from @unit on; where it stopped for want of room. */
static u64 add_changed(const struct hcp_written *written, u64 unit, u64 nr_sectors,
		       struct hcp_ioc_extent *extent, struct hcp_ioc_changed *arg)
{
	u64 base = unit - hcp_region_offset(unit), sector, end;
	unsigned int bit, behind;

	for (bit = hcp_region_offset(unit);; bit = behind) {
		bit = find_next_bit(written->units, HCP_REGION_UNITS, bit);
		if (bit == HCP_REGION_UNITS)
			return base + bit;
		behind = find_next_zero_bit(written->units, HCP_REGION_UNITS, bit);
		sector = hcp_unit_sector(base + bit);
		end = min(hcp_unit_sector(base + behind), nr_sectors);
		if (sector >= nr_sectors)
			return base + HCP_REGION_UNITS;
		if (arg->nr && extent[arg->nr - 1].sector + extent[arg->nr - 1].nr_sectors ==
			       sector) {
			extent[arg->nr - 1].nr_sectors += end - sector;
			continue;
		}
		if (arg->nr == arg->room)
			return base + bit;
		extent[arg->nr].sector = sector;
		extent[arg->nr++].nr_sectors = end - sector;
	}
}

/* So many regions are looked at in one call: whoever creates waits for the lock, too. */
#define HCP_CHANGED_REGIONS	2048

static int fill_changed(const struct changed_since *since, u64 nr_sectors,
			struct hcp_ioc_extent *extent, struct hcp_ioc_changed *arg)
{
	u64 unit = hcp_unit_of(arg->next);
	unsigned long index = hcp_region_index(unit);
	struct hcp_written written;
	unsigned int nr = 0;
	u64 stop;

	arg->nr = 0;
	while (next_changed(since, &index)) {
		if (nr++ == HCP_CHANGED_REGIONS) {
			arg->next = hcp_unit_sector((u64)index << HCP_REGION_SHIFT);
			return 0;
		}
		unit = max(unit, (u64)index << HCP_REGION_SHIFT);
		union_changed(since, index, &written);
		stop = add_changed(&written, unit, nr_sectors, extent, arg);
		if (hcp_region_index(stop) == index) {
			arg->next = hcp_unit_sector(stop);
			return 0;
		}
		unit = stop;
		index++;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	arg->next = nr_sectors;
	return 0;
}

static int check_changed(const struct changed_since *since, const char **reason)
{
	struct hcp_snap *snap;

	list_for_each_entry(snap, &hcp_snaps, node) {
		if (!is_wanted(since, snap))
			continue;
		if (READ_ONCE(snap->changed.lost)) {
			*reason = "not everything written was noted: memory was short, or no filesystem was frozen for the hot copy";
			return -ENODATA;
		}
		if (!hcp_snap_is_active(snap)) {
			*reason = "the hot copy has ended, and what was written since was not noted";
			return -ENODATA;
		}
	}
	return 0;
}

/*
 * What was written since @snap was made and before @until (NULL: until now), into
 * @extent, which has @arg->room.
 */
int hcp_info_changed(struct hcp_snap *snap, struct hcp_snap *until,
		     struct hcp_ioc_changed *arg, struct hcp_ioc_extent *extent,
		     const char **reason)
{
	struct changed_since since = {
		.origin = snap->origin,
		.from = snap->sequence,
		.until = until ? until->sequence : U64_MAX,
	};
	int err;

	if (!arg->room)
		return -EINVAL;
	if (until && (until->origin != snap->origin || until->sequence <= snap->sequence)) {
		*reason = "the second hot copy is not a newer one of the same device";
		return -EINVAL;
	}
	arg->nr_sectors = snap->nr_sectors;
	err = fill_changed(&since, snap->nr_sectors, extent, arg);
	/* Looked at last: what was lost meanwhile counts, too. */
	if (!err)
		err = check_changed(&since, reason);
	return err;
}
