// SPDX-License-Identifier: GPL-2.0-or-later
/* Segments of stores: opening them, and what belongs to them; see segment.h. */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "chain.h"
#include "disk.h"
#include "io.h"
#include "origin.h"
#include "segment.h"
#include "unit.h"

/* Every segment of every store, so that no hot copy keeps another one's store. */
static LIST_HEAD(hcp_segments);

static sector_t run_end(const struct hcp_run *run)
{
	return run->sector + (run->nr_units << HCP_UNIT_SECTOR_SHIFT);
}

static int run_cmp(const void *a, const void *b)
{
	const struct hcp_run *x = a, *y = b;

	if (x->sector == y->sector)
		return 0;
	return x->sector < y->sector ? -1 : 1;
}

/*
 * Whole units of one extent.  They are aligned as the origin's units are, so that
 * on the origin's own device a unit belongs to the store wholly or not at all.
 */
static int add_extent(struct hcp_segment *segment, const struct hcp_ioc_extent *extent,
		      sector_t capacity, const char **reason)
{
	struct hcp_run *run = &segment->run[segment->nr_runs];
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
	segment->nr_runs++;
	return 0;
}

static int read_extents(struct hcp_segment *segment, const struct hcp_ioc_segment *arg,
			const char **reason)
{
	sector_t capacity = hcp_bdev_file_sectors(segment->bdev_file);
	struct hcp_ioc_extent *extent;
	unsigned int i;
	int err = 0;

	extent = kvmalloc_array(arg->nr_extents, sizeof(*extent), GFP_KERNEL);
	segment->run = kvmalloc_array(arg->nr_extents, sizeof(*segment->run), GFP_KERNEL);
	if (!extent || !segment->run) {
		err = -ENOMEM;
		goto out;
	}
	if (copy_from_user(extent, u64_to_user_ptr(arg->extents),
			   arg->nr_extents * sizeof(*extent))) {
		err = -EFAULT;
		goto out;
	}
	for (i = 0; i < arg->nr_extents && !err; i++)
		err = add_extent(segment, &extent[i], capacity, reason);
	if (err)
		goto out;

	sort(segment->run, segment->nr_runs, sizeof(*segment->run), run_cmp, NULL);
	for (i = 1; i < segment->nr_runs; i++) {
		if (run_end(&segment->run[i - 1]) > segment->run[i].sector) {
			*reason = "the extents of the store overlap";
			err = -EINVAL;
		}
	}
out:
	kvfree(extent);
	return err;
}

/* How many units from @unit of @origin on are (not) @needed alike. */
static u64 needed_run(struct hcp_origin *origin, u64 unit, u64 last, bool *needed)
{
	struct hcp_needed need;

	spin_lock(hcp_region_lock(origin, unit));
	*needed = hcp_chain_need(origin, unit, hcp_region_clip(unit, last - unit), &need) !=
		  HCP_NEED_NOTHING;
	spin_unlock(hcp_region_lock(origin, unit));
	return need.run;
}

/* A segment in more pieces does without the rest. */
#define HCP_MAX_RUNS	(1 << 20)

/* Runs in the making. */
struct runs {
	struct hcp_run *run;
	unsigned int nr;
	unsigned int room;
};

/* Joins the last run when it follows it and @join says so.  -ENOMEM. */
static int runs_add(struct runs *runs, sector_t sector, sector_t nr_sectors, bool join)
{
	struct hcp_run *more;
	unsigned int room;

	if (join) {
		runs->run[runs->nr - 1].nr_units += nr_sectors >> HCP_UNIT_SECTOR_SHIFT;
		return 0;
	}
	if (runs->nr == HCP_MAX_RUNS)
		return 0;
	if (runs->nr == runs->room) {
		room = runs->room ? 2 * runs->room : 256;
		more = kvmalloc_array(room, sizeof(*more), GFP_KERNEL);
		if (!more)
			return -ENOMEM;
		if (runs->nr)
			memcpy(more, runs->run, runs->nr * sizeof(*more));
		kvfree(runs->run);
		runs->run = more;
		runs->room = room;
	}
	runs->run[runs->nr].sector = sector;
	runs->run[runs->nr++].nr_units = nr_sectors >> HCP_UNIT_SECTOR_SHIFT;
	return 0;
}

/*
 * The parts of @run that no hot copy of @origin needs.  What is not needed now never
 * will be: a new hot copy takes no interest in stores, and none can be made meanwhile
 * (hcp_control_lock).
 */
static int add_usable(struct runs *runs, struct hcp_origin *origin,
		      const struct hcp_segment *segment, const struct hcp_run *run)
{
	sector_t base = get_start_sect(segment->bdev);
	sector_t start = base + run->sector, end = base + run_end(run), next, first, last;
	bool needed, join = false;
	unsigned int before;
	int err = 0;

	for (; start < end && !err; start = next) {
		next = end;
		needed = false;
		if (start < origin->start) {
			next = min(end, origin->start);
		} else if (hcp_origin_clip(origin, segment->bdev->bd_disk, start, end - start,
					   &first, &last)) {
			u64 unit = hcp_unit_of(first);

			unit += needed_run(origin, unit, hcp_unit_behind(last), &needed);
			next = min(origin->start + hcp_unit_sector(unit), end);
		}
		before = runs->nr;
		if (!needed)
			err = runs_add(runs, start - base, next - start, join);
		join = !needed && (join || runs->nr > before);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

/* Whether any of it lies within @origin. */
static bool overlaps(const struct hcp_segment *segment, const struct hcp_origin *origin)
{
	sector_t base = get_start_sect(segment->bdev), first, end;
	unsigned int i;

	for (i = 0; i < segment->nr_runs; i++) {
		const struct hcp_run *run = &segment->run[i];

		if (hcp_origin_clip(origin, segment->bdev->bd_disk, base + run->sector,
				    run->nr_units << HCP_UNIT_SECTOR_SHIFT, &first, &end))
			return true;
	}
	return false;
}

/* The units of the segment are whole units of @origin. */
static bool is_aligned(const struct hcp_segment *segment, const struct hcp_origin *origin)
{
	return get_start_sect(segment->bdev) % HCP_UNIT_SECTORS ==
	       origin->start % HCP_UNIT_SECTORS;
}

/* Leaves out what the hot copies of @origin still need. */
static int drop_needed(struct hcp_segment *segment, struct hcp_origin *origin,
		       const char **reason)
{
	struct runs runs = {};
	unsigned int i;
	int err = 0;

	if (!overlaps(segment, origin))
		return 0;
	if (!is_aligned(segment, origin)) {
		*reason = "the store's partition is not aligned to 4 KiB on a device with hot copies";
		return -EOPNOTSUPP;
	}
	for (i = 0; i < segment->nr_runs && !err; i++)
		err = add_usable(&runs, origin, segment, &segment->run[i]);
	if (err) {
		kvfree(runs.run);
		return err;
	}
	kvfree(segment->run);
	segment->run = runs.run;
	segment->nr_runs = runs.nr;
	return 0;
}

/* Counts the units, once it is known which they are. */
static int number_units(struct hcp_segment *segment, const char **reason)
{
	unsigned int i;

	for (i = 0; i < segment->nr_runs; i++) {
		segment->run[i].unit = segment->nr_units;
		segment->nr_units += segment->run[i].nr_units;
	}
	if (!segment->nr_units) {
		*reason = "the store has no room for a single block of 4 KiB";
		return -ENOSPC;
	}
	return 0;
}

/* Nobody may truncate, move or share the blocks of the file from here on. */
static int claim_file(struct hcp_segment *segment, const char **reason)
{
	struct inode *inode = file_inode(segment->file);
	int err = 0;

	if (S_ISBLK(inode->i_mode))
		return 0;	/* whoever opened it did so exclusively */
	inode_lock(inode);
	if (IS_SWAPFILE(inode)) {
		*reason = "the file of the store is in use already";
		err = -EBUSY;
	} else {
		inode->i_flags |= S_SWAPFILE;
		segment->claimed = true;
	}
	inode_unlock(inode);
	return err;
}

static void release_file(struct hcp_segment *segment)
{
	struct inode *inode;

	if (!segment->claimed)
		return;
	inode = file_inode(segment->file);
	inode_lock(inode);
	inode->i_flags &= ~S_SWAPFILE;
	inode_unlock(inode);
}

static int check_file(const struct hcp_segment *segment, const char **reason)
{
	const struct inode *inode = file_inode(segment->file);

	if (S_ISBLK(inode->i_mode)) {
		if (segment->file == segment->bdev_file && segment->file->f_mode & FMODE_WRITE &&
		    READ_ONCE(segment->bdev->bd_holder) == segment->file)
			return 0;
		*reason = "a device that is a store must be opened for writing and exclusively, and be on itself";
		return -EINVAL;
	}
	if (!S_ISREG(inode->i_mode)) {
		*reason = "the store is neither a regular file nor a block device";
		return -EINVAL;
	}
	if (segment->file->f_mode & FMODE_WRITE) {
		*reason = "the file of the store must be opened read-only";
		return -EINVAL;
	}
	if (inode->i_sb->s_bdev != segment->bdev) {
		*reason = "the file of the store is on another device than it says";
		return -EXDEV;
	}
	return 0;
}

/* A device that is a store holds nothing else: nobody else has it, not even hot copies. */
static int check_exclusive(const struct hcp_segment *segment, const struct hcp_origin *origin,
			   const char **reason)
{
	const struct hcp_origin *other;
	bool shared = overlaps(segment, origin);

	list_for_each_entry(other, &hcp_origins, node)
		shared |= overlaps(segment, other);
	if (!shared)
		return 0;
	*reason = "the device for changed blocks holds a device that is copied";
	return -EBUSY;
}

/* No sector is given to two segments. */
static int check_apart(const struct hcp_segment *segment, const char **reason)
{
	sector_t base = get_start_sect(segment->bdev), nr_sectors, same;
	unsigned int i;

	for (i = 0; i < segment->nr_runs; i++) {
		const struct hcp_run *run = &segment->run[i];

		nr_sectors = run->nr_units << HCP_UNIT_SECTOR_SHIFT;
		if (hcp_segments_hold(segment->bdev->bd_disk, base + run->sector, nr_sectors,
				      &same) || same < nr_sectors) {
			*reason = "some of it is in use for changed blocks already";
			return -EBUSY;
		}
	}
	return 0;
}

static int get_files(struct hcp_segment *segment, const struct hcp_ioc_segment *arg,
		     const char **reason)
{
	segment->file = fget(arg->file_fd);
	segment->bdev_file = fget(arg->bdev_fd);
	if (!segment->file || !segment->bdev_file)
		return -EBADF;
	segment->bdev = hcp_file_bdev(segment->bdev_file);
	if (!segment->bdev) {
		*reason = "the store is not on a block device";
		return -ENOTBLK;
	}
	if (bdev_logical_block_size(segment->bdev) > HCP_UNIT_SIZE) {
		*reason = "the store is on a device with blocks of more than 4096 bytes";
		return -EOPNOTSUPP;
	}
	if (hcp_disk_is_ours(segment->bdev->bd_disk)) {
		*reason = "the space for changed blocks may not lie on a hot copy";
		return -EOPNOTSUPP;
	}
	if (bdev_is_zoned(segment->bdev)) {
		*reason = "the space for changed blocks is on a zoned device";
		return -EOPNOTSUPP;
	}
	if (bdev_read_only(segment->bdev)) {
		*reason = "the space for changed blocks is on a read-only device";
		return -EROFS;
	}
	return check_file(segment, reason);
}

/* The driver's own writes are not hooked, so that they must not change what is needed. */
static int choose_units(struct hcp_segment *segment, const struct hcp_origin *origin,
			const char **reason)
{
	struct hcp_origin *other;
	u64 nr_units = 0;
	unsigned int i;
	int err;

	for (i = 0; i < segment->nr_runs; i++)
		nr_units += segment->run[i].nr_units;
	if (nr_units > INT_MAX) {	/* bitmap_set() counts so far */
		*reason = "a segment of the space for changed blocks is larger than 8 TiB";
		return -EFBIG;
	}
	err = check_apart(segment, reason);
	if (!err && S_ISBLK(file_inode(segment->file)->i_mode))
		err = check_exclusive(segment, origin, reason);
	if (err)
		return err;
	if (overlaps(segment, origin) && !is_aligned(segment, origin)) {
		*reason = "the store's partition is not aligned to 4 KiB on the origin";
		return -EOPNOTSUPP;
	}
	list_for_each_entry(other, &hcp_origins, node) {
		err = drop_needed(segment, other, reason);
		if (err)
			return err;
	}
	return number_units(segment, reason);
}

/*
 * A segment for the store of @origin, which may be new and in no list yet.  An ERR_PTR;
 * @reason then says why, unless it is about memory or a bad pointer.  hcp_control_lock
 * is held, here and when it is closed.
 */
struct hcp_segment *hcp_segment_open(u64 user_segment, const struct hcp_origin *origin,
				     const char **reason)
{
	struct hcp_segment *segment;
	struct hcp_ioc_segment arg;
	int err;

	if (copy_from_user(&arg, u64_to_user_ptr(user_segment), sizeof(arg)))
		return ERR_PTR(-EFAULT);
	if (arg.size != sizeof(arg) || !arg.nr_extents || arg.nr_extents > HCP_MAX_EXTENTS)
		return ERR_PTR(-EINVAL);
	segment = kzalloc(sizeof(*segment), GFP_KERNEL);
	if (!segment)
		return ERR_PTR(-ENOMEM);

	err = get_files(segment, &arg, reason);
	if (!err)
		err = read_extents(segment, &arg, reason);
	if (!err)
		err = choose_units(segment, origin, reason);
	if (!err)
		err = claim_file(segment, reason);
	if (err)
		goto fail;
	segment->used_map = kvcalloc(BITS_TO_LONGS(segment->nr_units), sizeof(long),
				     GFP_KERNEL);
	if (!segment->used_map) {
		err = -ENOMEM;
		goto fail;
	}
	list_add_rcu(&segment->node, &hcp_segments);
	segment->listed = true;
	return segment;
fail:
	hcp_segment_close(segment);
	return ERR_PTR(err);
}

/* Its blocks are like all others from now on; wait for RCU before it is closed. */
void hcp_segment_unlist(struct hcp_segment *segment)
{
	if (segment->listed)
		list_del_rcu(&segment->node);
	segment->listed = false;
}

/* Gives the file back; nothing may be in flight to the segment any more. */
void hcp_segment_close(struct hcp_segment *segment)
{
	if (segment->listed) {
		hcp_segment_unlist(segment);
		synchronize_rcu();
	}
	release_file(segment);
	if (segment->file)
		fput(segment->file);
	if (segment->bdev_file)
		fput(segment->bdev_file);
	kvfree(segment->used_map);
	kvfree(segment->run);
	kfree(segment);
}

/* The run that holds @unit of the segment. */
const struct hcp_run *hcp_segment_run(const struct hcp_segment *segment, u64 unit)
{
	unsigned int low = 0, high = segment->nr_runs - 1;

	while (low < high) {
		unsigned int mid = (low + high + 1) / 2;

		if (segment->run[mid].unit <= unit)
			low = mid;
		else
			high = mid - 1;
	}
	return &segment->run[low];
}

/*
 * The sector of @unit on the segment's device.  @run comes in as the units asked for
 * and goes out as how many of them follow each other there.
 */
sector_t hcp_segment_sector(const struct hcp_segment *segment, u64 unit, unsigned int *run)
{
	const struct hcp_run *r = hcp_segment_run(segment, unit);

	*run = min_t(u64, *run, r->unit + r->nr_units - unit);
	return r->sector + ((unit - r->unit) << HCP_UNIT_SECTOR_SHIFT);
}

/* The first run that ends behind @sector of the segment's device, or NULL. */
static const struct hcp_run *run_at(const struct hcp_segment *segment, sector_t sector)
{
	unsigned int low = 0, high = segment->nr_runs;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (run_end(&segment->run[mid]) > sector)
			high = mid;
		else
			low = mid + 1;
	}
	return low < segment->nr_runs ? &segment->run[low] : NULL;
}

/*
 * Whether @sector of the whole disk belongs to some store.  @same is how many of
 * the @nr_sectors from there on the answer is good for.
 */
bool hcp_segments_hold(const struct gendisk *disk, sector_t sector, sector_t nr_sectors,
		       sector_t *same)
{
	struct hcp_segment *segment;
	bool held = false;

	*same = nr_sectors;
	rcu_read_lock();
	list_for_each_entry_rcu(segment, &hcp_segments, node) {
		sector_t base = get_start_sect(segment->bdev);
		const struct hcp_run *run;

		if (segment->bdev->bd_disk != disk || sector + nr_sectors <= base)
			continue;
		run = run_at(segment, sector < base ? 0 : sector - base);
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
