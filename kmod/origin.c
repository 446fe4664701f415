// SPDX-License-Identifier: GPL-2.0-or-later
/* Origins: their making and their end. */
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "chain.h"
#include "copy.h"
#include "cow.h"
#include "discard.h"
#include "disk.h"
#include "hook.h"
#include "io.h"
#include "origin.h"
#include "store.h"
#include "unit.h"
#include "writeback.h"

#define HCP_POOL_COPIES		16
#define HCP_POOL_DISCARDS	16

LIST_HEAD(hcp_origins);

/* hcp_control_lock is held, here and below. */
struct hcp_origin *hcp_origin_find(const struct block_device *bdev)
{
	struct hcp_origin *origin;

	list_for_each_entry(origin, &hcp_origins, node)
		if (origin->bdev == bdev)
			return origin;
	return NULL;
}

static void origin_init(struct hcp_origin *origin)
{
	unsigned int i;

	INIT_LIST_HEAD(&origin->node);
	spin_lock_init(&origin->chain_lock);
	for (i = 0; i < HCP_REGION_LOCKS; i++)
		spin_lock_init(&origin->region_lock[i]);
	spin_lock_init(&origin->pending_lock);
	bio_list_init(&origin->pending);
	bio_list_init(&origin->starved);
	bio_list_init(&origin->reads);
	INIT_DELAYED_WORK(&origin->cow_work, hcp_cow_work);
	mutex_init(&origin->cow_lock);
	init_llist_head(&origin->read_done);
	INIT_WORK(&origin->read_work, hcp_copy_read_work);
	spin_lock_init(&origin->ready_lock);
	INIT_LIST_HEAD(&origin->ready);
	INIT_DELAYED_WORK(&origin->store_work, hcp_writeback_store_work);
	init_llist_head(&origin->batch_done);
	init_llist_head(&origin->dropped);
	INIT_WORK(&origin->batch_work, hcp_writeback_batch_work);
}

/* Everything the write path will need: from here on it never waits for memory. */
static int origin_alloc_pools(struct hcp_origin *origin)
{
	unsigned int i;
	int err;

	err = bioset_init(&origin->copy_bios, HCP_POOL_COPIES,
			  offsetof(struct hcp_copy, bio), BIOSET_NEED_BVECS);
	if (err)
		return err;
	err = bioset_init(&origin->discard_bios, HCP_POOL_DISCARDS,
			  offsetof(struct hcp_discard_piece, bio), 0);
	if (err)
		return err;
	err = mempool_init_page_pool(&origin->page_pool, hcp_unit_pages(HCP_COPY_UNITS), 0);
	if (err)
		return err;
	for (i = 0; i < HCP_BATCHES; i++) {
		origin->batch[i] = hcp_batch_new(origin);
		if (!origin->batch[i])
			return -ENOMEM;
	}
	RCU_INIT_POINTER(origin->chain, hcp_chain_alloc(0, GFP_KERNEL));
	origin->wq = alloc_workqueue("hcp_%pg", WQ_MEM_RECLAIM | WQ_UNBOUND, 0, origin->bdev);
	return rcu_access_pointer(origin->chain) && origin->wq ? 0 : -ENOMEM;
}

static int origin_check_device(struct hcp_origin *origin, const char **reason)
{
	struct block_device *bdev = origin->bdev;

	if (hcp_disk_is_ours(bdev->bd_disk)) {
		*reason = "a hot copy of a hot copy is not supported";
		return -EOPNOTSUPP;
	}
	if (bdev_is_zoned(bdev)) {
		*reason = "zoned devices are not supported";
		return -EOPNOTSUPP;
	}
	if (bdev_logical_block_size(bdev) > HCP_UNIT_SIZE) {
		*reason = "devices with blocks of more than 4096 bytes are not supported";
		return -EOPNOTSUPP;
	}
	/* A file mapped with DAX is written by the processor: there is no bio to see. */
	if (blk_queue_dax(bdev_get_queue(bdev))) {
		*reason = "devices with DAX (persistent memory) are not supported";
		return -EOPNOTSUPP;
	}
	if (hcp_disk_has_rw_page(origin->disk)) {
		*reason = "this disk writes pages past the block layer on this kernel (a ram disk, zram)";
		return -EOPNOTSUPP;
	}
	if (bdev_read_only(bdev)) {
		*reason = "the device is read-only, so that nothing on it can change";
		return -EROFS;
	}
	if (origin->nr_sectors < HCP_UNIT_SECTORS) {
		*reason = "the device is too small";
		return -EINVAL;
	}
	return 0;
}

/* Opens @user_segment and adds it to the store, which may be new. */
static int origin_add_segment(struct hcp_origin *origin, u64 user_segment, u64 *nr_units,
			      const char **reason)
{
	struct hcp_segment *segment;
	unsigned int block_size, dma_alignment;
	int err = 0;

	segment = hcp_segment_open(user_segment, origin, reason);
	if (IS_ERR(segment))
		return PTR_ERR(segment);
	block_size = bdev_logical_block_size(segment->bdev);
	dma_alignment = queue_dma_alignment(bdev_get_queue(segment->bdev));
	if (!origin->store->nr) {
		origin->block_size = max(block_size, bdev_logical_block_size(origin->bdev));
		/* Masks of powers of two. */
		origin->dma_alignment = dma_alignment |
					queue_dma_alignment(bdev_get_queue(origin->bdev));
	} else if (block_size > origin->block_size ||
		   (dma_alignment | origin->dma_alignment) != origin->dma_alignment) {
		*reason = "the blocks of the store's device are larger than those of the hot copies";
		err = -EOPNOTSUPP;
	}
	*nr_units = segment->nr_units;
	if (!err)
		err = hcp_store_add(origin->store, segment);
	if (err)
		hcp_segment_close(segment);
	return err;
}

/*
 * A new origin, tracked from here on, with an empty chain.  An ERR_PTR.  It keeps
 * @file, and with it the device open.
 */
struct hcp_origin *hcp_origin_new(struct file *file, const struct hcp_ioc_origin *arg,
				  const char **reason)
{
	struct hcp_origin *origin = kzalloc(sizeof(*origin), GFP_KERNEL);
	u64 ignored;
	int err;

	if (!origin)
		return ERR_PTR(-ENOMEM);
	origin_init(origin);
	origin->file = get_file(file);
	origin->bdev = hcp_file_bdev(file);
	origin->disk = origin->bdev->bd_disk;
	origin->start = get_start_sect(origin->bdev);
	origin->nr_sectors = hcp_bdev_file_sectors(file);

	err = origin_check_device(origin, reason);
	if (err)
		goto fail;
	err = -ENOMEM;
	origin->store = hcp_store_new(arg->flags & HCP_CREATE_FIXED_STORE);
	if (origin->store)
		err = origin_add_segment(origin, arg->segment, &ignored, reason);
	if (!err)
		err = origin_alloc_pools(origin);
	if (!err)
		err = hcp_hook_track(origin, reason);
	if (err)
		goto fail;
	origin->tracked = true;
	list_add_tail(&origin->node, &hcp_origins);
	return origin;
fail:
	hcp_origin_free(origin);
	return ERR_PTR(err);
}

/* Waits for everything under way; nothing new comes, it is not tracked any more. */
static void origin_drain(struct hcp_origin *origin)
{
	mod_delayed_work(origin->wq, &origin->cow_work, 0);
	wait_var_event(&origin->pending, !hcp_cow_has_pending(origin));
	/* The last one it took may still become a copy or pieces of a discard. */
	flush_delayed_work(&origin->cow_work);
	hcp_writeback_hurry(origin);
	wait_var_event(&origin->nr_copies, !atomic_read(&origin->nr_copies));
	wait_var_event(&origin->nr_discards, !atomic_read(&origin->nr_discards));
	synchronize_rcu();	/* hcp_io_done() */
	flush_work(&origin->read_work);
	/* It may have queued a write that it judged when there still was a hot copy. */
	flush_delayed_work(&origin->cow_work);
	flush_work(&origin->batch_work);
	cancel_delayed_work_sync(&origin->cow_work);
	cancel_delayed_work_sync(&origin->store_work);
}

/*
 * Ends an origin that has no hot copies (any more), or that was never finished.
 * hcp_control_lock is let go meanwhile.
 */
void hcp_origin_free(struct hcp_origin *origin)
{
	unsigned int i;

	if (origin->tracked) {
		list_del(&origin->node);
		hcp_hook_untrack(origin);
		/* A device that does not answer must not keep other stores from growing. */
		mutex_unlock(&hcp_control_lock);
		origin_drain(origin);
		mutex_lock(&hcp_control_lock);
	}
	if (origin->wq)
		destroy_workqueue(origin->wq);
	for (i = 0; i < HCP_BATCHES; i++)
		hcp_batch_free(origin->batch[i]);
	mempool_exit(&origin->page_pool);
	bioset_exit(&origin->discard_bios);
	bioset_exit(&origin->copy_bios);
	if (origin->store)
		hcp_store_close(origin->store);
	kfree(rcu_access_pointer(origin->chain));
	fput(origin->file);
	kfree(origin);
}

/* One more segment for the store; hcp_control_lock is held. */
int hcp_origin_grow(struct hcp_origin *origin, struct hcp_ioc_grow *arg, const char **reason)
{
	u64 nr_units;
	int err;

	if (origin->store->fixed) {
		*reason = "the store was made with a fixed size";
		return -EPERM;
	}
	err = origin_add_segment(origin, arg->segment, &nr_units, reason);
	if (err)
		return err;
	arg->usable_bytes = nr_units << HCP_UNIT_SHIFT;
	/* Those who found it full try again. */
	hcp_writeback_hurry(origin);
	hcp_cow_kick(origin);
	return 0;
}
