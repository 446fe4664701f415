// SPDX-License-Identifier: GPL-2.0-or-later
/* Copies of old data, from the read to the store; see copy.h. */
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/wait_bit.h>

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

static unsigned int copy_memory_mib;
module_param(copy_memory_mib, uint, 0444);
MODULE_PARM_DESC(copy_memory_mib,
		 "memory for copies on their way to the store, in MiB (default: 64, at most 1/16 of the memory)");

/* The memory of copies, of all origins, in units: on large pages more than what they copy. */
static atomic_long_t copy_units_in_flight;

/* What @count units take. */
static unsigned int copy_cost(unsigned int count)
{
	return hcp_unit_pages(count) << (PAGE_SHIFT - HCP_UNIT_SHIFT);
}

void hcp_copy_memory_init(void)
{
	unsigned long sixteenth = totalram_pages() >> (20 - PAGE_SHIFT + 4);

	if (!copy_memory_mib)
		copy_memory_mib = clamp(sixteenth, 1UL, 64UL);
}

static unsigned long copy_units_allowed(void)
{
	return (unsigned long)copy_memory_mib << (20 - HCP_UNIT_SHIFT);
}

/* Half of it gone: what is ready had better be stored now. */
bool hcp_copy_memory_is_short(void)
{
	return atomic_long_read(&copy_units_in_flight) > copy_units_allowed() / 2;
}

/* How many of @count units may be read now; an origin with no copy may always. */
static unsigned int copy_clip_to_memory(struct hcp_origin *origin, unsigned int count)
{
	unsigned long used = atomic_long_read(&copy_units_in_flight);
	unsigned long allowed = copy_units_allowed();

	count = min(count, HCP_COPY_UNITS);
	if (!atomic_read(&origin->nr_copies))
		return count;
	if (used + copy_cost(1) > allowed)
		return 0;
	return min_t(unsigned long, count, round_down(allowed - used, copy_cost(1)));
}

static void copy_free_pages(struct hcp_copy *copy, unsigned int from)
{
	while (copy->bio.bi_vcnt > from)
		mempool_free(copy->bio.bi_io_vec[--copy->bio.bi_vcnt].bv_page,
			     &copy->origin->page_pool);
}

static void copy_account(struct hcp_copy *copy)
{
	struct hcp_origin *origin = copy->origin;

	if (atomic_inc_return(&origin->nr_copies) == 1)
		WRITE_ONCE(origin->progress, jiffies);
	atomic_add(copy->count, &origin->units_in_flight);
	atomic_long_add(copy_cost(copy->count), &copy_units_in_flight);
}

static void copy_free(struct hcp_copy *copy)
{
	if (hcp_mutant(LEAK_PAGE) && copy->bio.bi_vcnt)
		get_page(copy->bio.bi_io_vec[0].bv_page);
	copy_free_pages(copy, 0);
	bio_put(&copy->bio);
}

/*
 * A copy with as many pages as there are, NULL when there is not one.  Nothing here
 * waits: memory comes back through the same workqueue.  The pools are full while the
 * origin has no copy, so that one can always be made.
 */
static struct hcp_copy *copy_alloc(struct hcp_origin *origin, u64 unit, unsigned int count)
{
	unsigned int nr_pages = hcp_unit_pages(count), got;
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	struct hcp_copy *copy;
	gfp_t bio_gfp = gfp;
	struct bio *bio;

	/*
	 * A full pool does not let one wait.  Who may not wait gets nothing from a pool of
	 * bios at all.  b520c4eef83d ("block: split bio_alloc_bioset"), 7.1
	 */
	if (!atomic_read(&origin->nr_copies))
		bio_gfp = GFP_NOIO | __GFP_NOWARN;
	bio = hcp_bio_alloc(origin->bdev, nr_pages, REQ_OP_READ, bio_gfp,
			    &origin->copy_bios);
	/* Without waiting, only the largest size comes from the pool. */
	if (!bio)
		bio = hcp_bio_alloc(origin->bdev, BIO_MAX_VECS, REQ_OP_READ, bio_gfp,
				    &origin->copy_bios);
	if (!bio)
		return NULL;
	copy = container_of(bio, struct hcp_copy, bio);
	copy->origin = origin;
	copy->unit = unit;
	refcount_set(&copy->refs, 1);
	copy->snap = NULL;
	copy->around = false;
	bio_list_init(&copy->waiters);
	INIT_LIST_HEAD(&copy->ready);
	copy->assigned = 0;
	bitmap_zero(copy->wanted, HCP_COPY_UNITS);

	for (got = 0; got < nr_pages; got++) {
		struct page *page = mempool_alloc(&origin->page_pool, gfp);

		if (!page)
			break;
		__bio_add_page(bio, page, PAGE_SIZE, 0);
	}
	copy->count = min_t(size_t, count, ((size_t)got * PAGE_SIZE) >> HCP_UNIT_SHIFT);
	if (!copy->count) {
		copy_free(copy);
		return NULL;
	}
	return copy;
}

static void copy_read_end(struct bio *bio)
{
	struct hcp_copy *copy = container_of(bio, struct hcp_copy, bio);
	struct hcp_origin *origin = copy->origin;

	hcp_io_done(&copy->done, &origin->read_done, origin->wq, &origin->read_work);
}

/* The last unit of a device may be cut short; what is behind it is stored as zeros. */
static void copy_set_extent(struct hcp_copy *copy)
{
	sector_t sector = hcp_unit_sector(copy->unit);
	sector_t left = copy->origin->nr_sectors - sector;
	sector_t nr_sectors = min_t(sector_t, hcp_unit_sector(copy->count), left);
	struct bio_vec *last;

	copy_free_pages(copy, hcp_unit_pages(copy->count));
	copy->bio.bi_iter.bi_sector = sector;
	copy->bio.bi_iter.bi_size = nr_sectors << SECTOR_SHIFT;
	if (nr_sectors < hcp_unit_sector(copy->count)) {
		last = &copy->bio.bi_io_vec[copy->bio.bi_vcnt - 1];
		memset(page_address(last->bv_page), 0, PAGE_SIZE);
	}
}

/* How many units of the copy are to be kept, from @from on. */
unsigned int hcp_copy_wanted(const struct hcp_copy *copy, unsigned int from)
{
	unsigned int bit, nr = 0;

	for (bit = find_next_bit(copy->wanted, copy->count, from); bit < copy->count;
	     bit = find_next_bit(copy->wanted, copy->count, bit + 1))
		nr++;
	return nr;
}

/* What the copy is for is settled and in the map; the region's lock is held. */
static void copy_begin(struct hcp_copy *copy, struct hcp_snap *snap)
{
	copy->snap = snap;
	copy->unsettled = hcp_copy_wanted(copy, 0);
	copy_account(copy);
	atomic64_add(copy->unsettled, &snap->preserved_units);
}

/* Whoever submits a read may sleep for long, and must not do so below cow_lock. */
static void copy_submit_later(struct hcp_copy *copy)
{
	copy_set_extent(copy);
	copy->bio.bi_end_io = copy_read_end;
	copy->bio.bi_opf |= REQ_SYNC;
	bio_list_add(&copy->origin->reads, &copy->bio);
}

/* Submits what was started; cow_work, without cow_lock. */
void hcp_copy_submit_reads(struct hcp_origin *origin)
{
	struct bio *bio;

	while ((bio = bio_list_pop(&origin->reads)))
		hcp_io_submit(bio);
}

/*
 * Enters into the map what of the copy's units nobody has yet; those in between that
 * somebody has are read in vain.  The region's lock is held.
 */
static void copy_enter_missing(struct hcp_copy *copy, struct hcp_snap *snap)
{
	struct hcp_needed needed;
	unsigned int at;

	for (at = 0; at < copy->count; at += needed.run) {
		u64 unit = copy->unit + at;

		if (hcp_chain_need(copy->origin, unit, copy->count - at, &needed) !=
			    HCP_NEED_COPY || needed.snap != snap)
			continue;
		if (!hcp_map_set(&snap->preserved, unit, needed.run, HCP_EXTENT_READING, copy,
				 0))
			bitmap_set(copy->wanted, at, needed.run);
	}
	if (!bitmap_empty(copy->wanted, HCP_COPY_UNITS))
		copy->count = find_last_bit(copy->wanted, copy->count) + 1;
}

/*
 * So much is read around a write.  More would have the writes wait longer for one read,
 * and more of them at once, for little fewer reads.
 */
#define HCP_AROUND_UNITS	64U

/* Of these units so many runs are not copied yet, as a rule; others are left out. */
#define HCP_AROUND_EXTENTS	16U

/*
 * Starts to copy what is around @unit, in one read, since most of it will be written.
 * As hcp_copy_start(); 0: do it the other way.
 */
int hcp_copy_start_around(struct hcp_origin *origin, struct hcp_snap *snap, u64 unit)
{
	spinlock_t *lock = hcp_region_lock(origin, unit);
	u64 first = ALIGN_DOWN(unit, HCP_AROUND_UNITS);
	u64 end = min(first + HCP_AROUND_UNITS, hcp_unit_behind(origin->nr_sectors));
	unsigned int count = end - first, at = unit - first;
	struct hcp_copy *copy;

	if (READ_ONCE(origin->no_around) || !hcp_store_has_plenty(origin->store))
		return 0;
	if (hcp_copy_memory_is_short() || copy_clip_to_memory(origin, count) < count)
		return 0;
	if (hcp_map_reserve(&snap->preserved, lock, hcp_region_index(unit),
			    HCP_AROUND_EXTENTS + HCP_MAP_ROOM,
			    GFP_NOIO | __GFP_NOWARN | __GFP_NORETRY))
		return 0;
	copy = copy_alloc(origin, first, count);
	if (!copy)
		return 0;

	spin_lock(lock);
	if (copy->count == count)	/* there were pages for all of it */
		copy_enter_missing(copy, snap);
	if (bitmap_empty(copy->wanted, HCP_COPY_UNITS)) {
		spin_unlock(lock);
		copy_free(copy);
		return 0;
	}
	copy->around = true;
	copy_begin(copy, snap);
	at = find_next_zero_bit(copy->wanted, HCP_COPY_UNITS, at) - at;
	spin_unlock(lock);

	copy_submit_later(copy);
	return at;
}

/*
 * Starts to copy up to @count units from @unit on, which lie in one region, for @snap;
 * hcp_copy_submit_reads() is due then.  Returns how many, 0 when things have changed
 * meanwhile: look again.  cow_lock is held.  -EAGAIN, -ENOMEM: no memory now.
 */
int hcp_copy_start(struct hcp_origin *origin, struct hcp_snap *snap, u64 unit,
		   unsigned int count)
{
	spinlock_t *lock = hcp_region_lock(origin, unit);
	struct hcp_needed needed;
	struct hcp_copy *copy;
	int err;

	count = copy_clip_to_memory(origin, count);
	if (!count)
		return -EAGAIN;
	err = hcp_map_reserve(&snap->preserved, lock, hcp_region_index(unit), HCP_MAP_ROOM,
			      GFP_NOIO | __GFP_NOWARN | __GFP_NORETRY);
	if (err)
		return err;
	copy = copy_alloc(origin, unit, count);
	if (!copy)
		return -EAGAIN;

	spin_lock(lock);
	if (hcp_chain_need(origin, unit, copy->count, &needed) != HCP_NEED_COPY ||
	    needed.snap != snap ||
	    hcp_map_set(&snap->preserved, unit, needed.run, HCP_EXTENT_READING, copy, 0)) {
		spin_unlock(lock);
		copy_free(copy);
		return 0;
	}
	copy->count = needed.run;
	bitmap_set(copy->wanted, 0, copy->count);
	copy_begin(copy, snap);
	spin_unlock(lock);

	copy_submit_later(copy);
	return needed.run;
}

/* The page that holds a unit of the copy, and where in it. */
struct page *hcp_copy_page(struct hcp_copy *copy, unsigned int unit_offset,
			   unsigned int *offset)
{
	size_t byte = (size_t)unit_offset << HCP_UNIT_SHIFT;

	*offset = offset_in_page(byte);
	return copy->bio.bi_io_vec[byte >> PAGE_SHIFT].bv_page;
}

/* Where a unit of the copy is in memory; its pages are never highmem. */
void *hcp_copy_address(struct hcp_copy *copy, unsigned int unit_offset)
{
	unsigned int offset;
	struct page *page = hcp_copy_page(copy, unit_offset, &offset);

	return page_address(page) + offset;
}

void hcp_copy_put(struct hcp_copy *copy)
{
	struct hcp_origin *origin = copy->origin;
	unsigned int count = copy->count;

	if (!refcount_dec_and_test(&copy->refs))
		return;
	WRITE_ONCE(origin->progress, jiffies);
	copy_free(copy);
	if (hcp_mutant(USE_FREED))
		count = READ_ONCE(copy->count);
	atomic_long_sub(copy_cost(count), &copy_units_in_flight);
	atomic_sub(count, &origin->units_in_flight);
	if (atomic_dec_and_test(&origin->nr_copies))
		wake_up_var(&origin->nr_copies);
	hcp_cow_kick(origin);
}

/* Nothing of the copy will be kept: what points to it no longer does.  Region lock. */
void hcp_copy_lose(struct hcp_copy *copy)
{
	if (copy->snap)
		hcp_map_mark(&copy->snap->preserved, copy->unit, copy->count, copy,
			     HCP_EXTENT_LOST);
	copy->snap = NULL;
}

/* Whether its loss ends hot copies: not those that were made since its own has ended. */
bool hcp_copy_is_needed(struct hcp_copy *copy)
{
	bool needed;

	spin_lock(hcp_region_lock(copy->origin, copy->unit));
	needed = copy->snap && hcp_snap_is_active(copy->snap);
	spin_unlock(hcp_region_lock(copy->origin, copy->unit));
	return needed;
}

/*
 * What was read around writes cannot be read, and nobody may ever need it: as if it had
 * not been tried.  The writes come again, each for its own old data.
 */
static void copy_read_in_vain(struct hcp_copy *copy)
{
	struct hcp_origin *origin = copy->origin;
	struct bio_list waiters;
	unsigned int nr;

	WRITE_ONCE(origin->no_around, true);
	spin_lock(hcp_region_lock(origin, copy->unit));
	if (copy->snap) {
		nr = hcp_map_forget(&copy->snap->preserved, copy->unit, copy);
		atomic64_sub(nr, &copy->snap->preserved_units);
		copy->snap = NULL;
	}
	waiters = copy->waiters;
	bio_list_init(&copy->waiters);
	spin_unlock(hcp_region_lock(origin, copy->unit));

	hcp_cow_resume(origin, &waiters);
	hcp_copy_put(copy);
}

static void copy_read_done(struct hcp_copy *copy)
{
	struct hcp_origin *origin = copy->origin;
	bool failed = copy->bio.bi_status;
	struct bio_list waiters;

	if (failed && copy->around) {
		copy_read_in_vain(copy);
		return;
	}
	/* First of all: nobody may believe in this copy. */
	if (failed && hcp_copy_is_needed(copy))
		hcp_origin_fail(origin, HCP_STATE_FAILED,
				"the origin's old data could not be read");

	spin_lock(hcp_region_lock(origin, copy->unit));
	if (failed)
		hcp_copy_lose(copy);
	else if (copy->snap)
		hcp_map_mark(&copy->snap->preserved, copy->unit, copy->count, copy,
			     HCP_EXTENT_COPYING);
	waiters = copy->waiters;
	bio_list_init(&copy->waiters);
	/* Before any of the writes is let go; readers look at it after their read. */
	if (!hcp_mutant(SKIP_COUNT))
		atomic_inc(&origin->region_let_go[hcp_region_bucket(copy->unit)]);
	smp_mb__after_atomic();
	if (hcp_mutant(LOCK_ORDER)) {
		spin_lock(&origin->ready_lock);
		spin_unlock(&origin->ready_lock);
	}
	spin_unlock(hcp_region_lock(origin, copy->unit));

	hcp_cow_resume(origin, &waiters);
	if (failed)
		hcp_copy_put(copy);
	else
		hcp_writeback_add(origin, copy);
}

void hcp_copy_read_work(struct work_struct *work)
{
	struct hcp_origin *origin = container_of(work, struct hcp_origin, read_work);
	struct llist_node *list = llist_reverse_order(llist_del_all(&origin->read_done));
	struct hcp_copy *copy, *next;
	struct blk_plug plug;

	blk_start_plug(&plug);
	llist_for_each_entry_safe(copy, next, list, done)
		copy_read_done(copy);
	blk_finish_plug(&plug);
}
