// SPDX-License-Identifier: GPL-2.0-or-later
/* The store: where it is on its device, and which of it is free; see store.h. */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "io.h"
#include "store.h"
#include "unit.h"

/* Every store there is, so that no hot copy keeps another one's store. */
static LIST_HEAD(hcp_stores);
static DEFINE_SPINLOCK(hcp_stores_lock);

static int run_cmp(const void *a, const void *b)
{
	const struct hcp_store_run *x = a, *y = b;

	if (x->sector == y->sector)
		return 0;
	return x->sector < y->sector ? -1 : 1;
}

/*
 * Whole units of one extent.  They are aligned as the origin's units are, so that
 * on the origin's own device a unit belongs to the store wholly or not at all.
 */
static int store_add_extent(struct hcp_store *store, const struct hcp_ioc_extent *extent,
			    sector_t capacity, const char **reason)
{
	struct hcp_store_run *run = &store->run[store->nr_runs];
	u64 end = extent->sector + extent->nr_sectors;
	u64 first = ALIGN(extent->sector, HCP_UNIT_SECTORS);

	if (end < extent->sector || end > capacity || first < extent->sector) {
		*reason = "an extent of the store lies outside its device";
		return -EINVAL;
	}
	end = ALIGN_DOWN(end, HCP_UNIT_SECTORS);
	if (first >= end)
		return 0;
	run->sector = first;
	run->nr_units = (end - first) >> HCP_UNIT_SECTOR_SHIFT;
	store->nr_runs++;
	return 0;
}

static int store_read_extents(struct hcp_store *store, const struct hcp_ioc_segment *segment,
			      const char **reason)
{
	sector_t capacity = hcp_bdev_file_sectors(store->bdev_file);
	struct hcp_ioc_extent *extent;
	unsigned int i;
	int err = 0;

	extent = kvmalloc_array(segment->nr_extents, sizeof(*extent), GFP_KERNEL);
	store->run = kvmalloc_array(segment->nr_extents, sizeof(*store->run), GFP_KERNEL);
	if (!extent || !store->run) {
		err = -ENOMEM;
		goto out;
	}
	if (copy_from_user(extent, u64_to_user_ptr(segment->extents),
			   segment->nr_extents * sizeof(*extent))) {
		err = -EFAULT;
		goto out;
	}
	for (i = 0; i < segment->nr_extents && !err; i++)
		err = store_add_extent(store, &extent[i], capacity, reason);
	if (err)
		goto out;

	sort(store->run, store->nr_runs, sizeof(*store->run), run_cmp, NULL);
	for (i = 0; i < store->nr_runs; i++) {
		struct hcp_store_run *run = &store->run[i];

		if (i && run[-1].sector + (run[-1].nr_units << HCP_UNIT_SECTOR_SHIFT) >
		    run->sector) {
			*reason = "the extents of the store overlap";
			err = -EINVAL;
			goto out;
		}
		run->unit = store->nr_units;
		store->nr_units += run->nr_units;
	}
	if (store->nr_units > INT_MAX) {	/* bitmap_set() counts so far */
		*reason = "the space for changed blocks is larger than 8 TiB";
		err = -EFBIG;
	}
	if (!store->nr_units) {
		*reason = "the store has no room for a single block of 4 KiB";
		err = -ENOSPC;
	}
out:
	kvfree(extent);
	return err;
}

/* Nobody may truncate, move or share the blocks of the file from here on. */
static int store_claim_file(struct hcp_store *store, const char **reason)
{
	struct inode *inode = file_inode(store->file);
	int err = 0;

	inode_lock(inode);
	if (IS_SWAPFILE(inode)) {
		*reason = "the file of the store is in use already";
		err = -EBUSY;
	} else {
		inode->i_flags |= S_SWAPFILE;
	}
	inode_unlock(inode);
	return err;
}

static void store_release_file(struct hcp_store *store)
{
	struct inode *inode = file_inode(store->file);

	inode_lock(inode);
	inode->i_flags &= ~S_SWAPFILE;
	inode_unlock(inode);
}

static void store_free(struct hcp_store *store)
{
	if (store->file)
		fput(store->file);
	if (store->bdev_file)
		fput(store->bdev_file);
	kvfree(store->used_map);
	kvfree(store->run);
	kfree(store);
}

static int store_get_files(struct hcp_store *store, const struct hcp_ioc_segment *segment,
			   const char **reason)
{
	store->file = fget(segment->file_fd);
	if (!store->file || !S_ISREG(file_inode(store->file)->i_mode)) {
		*reason = "the store is not a regular file";
		return -EINVAL;
	}
	if (store->file->f_mode & FMODE_WRITE) {
		*reason = "the file of the store must be opened read-only";
		return -EINVAL;
	}
	store->bdev_file = fget(segment->bdev_fd);
	store->bdev = store->bdev_file ? hcp_file_bdev(store->bdev_file) : NULL;
	if (!store->bdev) {
		*reason = "the store is not on a block device";
		return -ENOTBLK;
	}
	if (file_inode(store->file)->i_sb->s_bdev != store->bdev) {
		*reason = "the file of the store is on another device than it says";
		return -EXDEV;
	}
	return 0;
}

/* An ERR_PTR; @reason then says why, unless it is about memory or a bad pointer. */
struct hcp_store *hcp_store_open(const struct hcp_ioc_segment *segment,
				 const char **reason)
{
	struct hcp_store *store;
	int err;

	if (segment->size != sizeof(*segment) || !segment->nr_extents ||
	    segment->nr_extents > HCP_MAX_EXTENTS)
		return ERR_PTR(-EINVAL);

	store = kzalloc(sizeof(*store), GFP_KERNEL);
	if (!store)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&store->lock);

	err = store_get_files(store, segment, reason);
	if (!err)
		err = store_read_extents(store, segment, reason);
	if (err)
		goto fail;

	err = -ENOMEM;
	store->used_map = kvcalloc(BITS_TO_LONGS(store->nr_units), sizeof(long),
				   GFP_KERNEL);
	if (!store->used_map)
		goto fail;

	err = store_claim_file(store, reason);
	if (err)
		goto fail;

	spin_lock(&hcp_stores_lock);
	list_add_rcu(&store->node, &hcp_stores);
	spin_unlock(&hcp_stores_lock);
	return store;

fail:
	store_free(store);
	return ERR_PTR(err);
}

/* Gives the file back; nothing may be in flight to the store any more. */
void hcp_store_close(struct hcp_store *store)
{
	spin_lock(&hcp_stores_lock);
	list_del_rcu(&store->node);
	spin_unlock(&hcp_stores_lock);
	synchronize_rcu();
	store_release_file(store);
	store_free(store);
}

static const struct hcp_store_run *store_find_run(const struct hcp_store *store, u64 unit)
{
	unsigned int low = 0, high = store->nr_runs - 1;

	while (low < high) {
		unsigned int mid = (low + high + 1) / 2;

		if (store->run[mid].unit <= unit)
			low = mid;
		else
			high = mid - 1;
	}
	return &store->run[low];
}

/* Up to @want units that are contiguous on the device; HCP_STORE_FULL when none. */
u64 hcp_store_alloc(struct hcp_store *store, unsigned int want, unsigned int *got)
{
	const struct hcp_store_run *run;
	u64 unit, end, limit;

	spin_lock(&store->lock);
	unit = find_next_zero_bit(store->used_map, store->nr_units, store->cursor);
	if (unit >= store->nr_units)
		unit = find_first_zero_bit(store->used_map, store->nr_units);
	if (unit >= store->nr_units) {
		spin_unlock(&store->lock);
		return HCP_STORE_FULL;
	}
	run = store_find_run(store, unit);
	limit = min(unit + want, run->unit + run->nr_units);
	end = find_next_bit(store->used_map, limit, unit);
	bitmap_set(store->used_map, unit, end - unit);
	store->nr_used += end - unit;
	store->cursor = end;
	spin_unlock(&store->lock);

	*got = end - unit;
	return unit;
}

void hcp_store_free(struct hcp_store *store, u64 unit, u64 count)
{
	spin_lock(&store->lock);
	bitmap_clear(store->used_map, unit, count);
	store->nr_used -= count;
	spin_unlock(&store->lock);
}

u64 hcp_store_used(struct hcp_store *store)
{
	u64 used;

	spin_lock(&store->lock);
	used = store->nr_used;
	spin_unlock(&store->lock);
	return used;
}

/*
 * The sector of @unit on the store's device.  @run comes in as the units asked for
 * and goes out as how many of them follow each other there.
 */
sector_t hcp_store_sector(const struct hcp_store *store, u64 unit, unsigned int *run)
{
	const struct hcp_store_run *r = store_find_run(store, unit);

	*run = min_t(u64, *run, r->unit + r->nr_units - unit);
	return r->sector + ((unit - r->unit) << HCP_UNIT_SECTOR_SHIFT);
}

static sector_t run_end(const struct hcp_store_run *run)
{
	return run->sector + (run->nr_units << HCP_UNIT_SECTOR_SHIFT);
}

/* The first run that ends behind @sector of the store's device, or NULL. */
static const struct hcp_store_run *store_run_at(const struct hcp_store *store,
						sector_t sector)
{
	unsigned int low = 0, high = store->nr_runs;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (run_end(&store->run[mid]) > sector)
			high = mid;
		else
			low = mid + 1;
	}
	return low < store->nr_runs ? &store->run[low] : NULL;
}

/* Whether any of the store lies in these sectors of the whole disk. */
bool hcp_store_overlaps(const struct hcp_store *store, const struct gendisk *disk,
			sector_t start, sector_t nr_sectors)
{
	sector_t base = get_start_sect(store->bdev);
	unsigned int i;

	if (store->bdev->bd_disk != disk)
		return false;
	for (i = 0; i < store->nr_runs; i++) {
		const struct hcp_store_run *run = &store->run[i];

		if (base + run->sector < start + nr_sectors && base + run_end(run) > start)
			return true;
	}
	return false;
}

/*
 * Whether @sector of the whole disk belongs to some store.  @same is how many of
 * the @nr_sectors from there on the answer is good for.
 */
bool hcp_store_holds(const struct gendisk *disk, sector_t sector, sector_t nr_sectors,
		     sector_t *same)
{
	struct hcp_store *store;
	bool held = false;

	*same = nr_sectors;
	rcu_read_lock();
	list_for_each_entry_rcu(store, &hcp_stores, node) {
		sector_t base = get_start_sect(store->bdev);
		const struct hcp_store_run *run;

		if (store->bdev->bd_disk != disk || sector + nr_sectors <= base)
			continue;
		run = store_run_at(store, sector < base ? 0 : sector - base);
		if (!run || base + run->sector >= sector + nr_sectors)
			continue;
		if (base + run->sector > sector) {
			*same = min(*same, base + run->sector - sector);
			continue;
		}
		*same = min(nr_sectors, base + run_end(run) - sector);
		held = true;
		break;
	}
	rcu_read_unlock();
	return held;
}
