// SPDX-License-Identifier: GPL-2.0-or-later
/* Hot copies: their making, their end, and what is told of them. */
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "chain.h"
#include "disk.h"
#include "event.h"
#include "origin.h"
#include "request.h"
#include "snapshot.h"
#include "store.h"
#include "unit.h"

#define HCP_POOL_REQUESTS	16
#define HCP_POOL_PIECES		64

LIST_HEAD(hcp_snaps);

static DEFINE_IDA(minor_ida);
static u64 last_sequence;	/* hcp_control_lock */

static int snap_init_io(struct hcp_snap *snap)
{
	int err;

	spin_lock_init(&snap->queue_lock);
	bio_list_init(&snap->queue);
	INIT_LIST_HEAD(&snap->writing);
	bio_list_init(&snap->deferred);
	bio_list_init(&snap->partial);
	bio_list_init(&snap->whole);
	init_llist_head(&snap->written);
	INIT_WORK(&snap->queue_work, hcp_disk_queue_work);
	INIT_WORK(&snap->partial_work, hcp_write_partial_work);
	INIT_WORK(&snap->whole_work, hcp_write_whole_work);
	INIT_WORK(&snap->written_work, hcp_write_done_work);
	init_llist_head(&snap->recheck);
	INIT_WORK(&snap->recheck_work, hcp_read_recheck_work);

	err = bioset_init(&snap->piece_bios, HCP_POOL_PIECES,
			  offsetof(struct hcp_piece, bio), 0);
	if (err)
		return err;
	err = bioset_init(&snap->recheck_bios, 1, offsetof(struct hcp_piece, bio), 0);
	if (err)
		return err;
	err = mempool_init_kmalloc_pool(&snap->request_pool, HCP_POOL_REQUESTS,
					sizeof(struct hcp_request));
	if (err)
		return err;
	snap->merge_page = alloc_page(GFP_KERNEL);
	snap->wq = alloc_workqueue("hcp%u", WQ_MEM_RECLAIM | WQ_UNBOUND, 0, snap->minor);
	snap->recheck_wq = alloc_workqueue("hcp%u_recheck", WQ_MEM_RECLAIM | WQ_UNBOUND, 0,
					   snap->minor);
	snap->written_wq = alloc_workqueue("hcp%u_written", WQ_MEM_RECLAIM | WQ_UNBOUND, 0,
					   snap->minor);
	return snap->merge_page && snap->wq && snap->recheck_wq && snap->written_wq ? 0 :
										      -ENOMEM;
}

/*
 * A hot copy of @origin that is not in its chain yet, and its disk, which nobody sees
 * yet.  An ERR_PTR; hcp_control_lock is held.
 */
struct hcp_snap *hcp_snap_new(struct hcp_origin *origin, const struct hcp_ioc_origin *arg,
			      const char **reason)
{
	struct hcp_snap *snap = kzalloc(sizeof(*snap), GFP_KERNEL);
	int err;

	if (!snap)
		return ERR_PTR(-ENOMEM);
	hcp_map_init(&snap->preserved);
	hcp_map_init(&snap->private);
	hcp_changed_init(&snap->changed);
	INIT_LIST_HEAD(&snap->node);
	snap->origin = origin;
	snap->nr_sectors = origin->nr_sectors;
	snap->read_only = arg->flags & HCP_CREATE_READ_ONLY;
	strscpy(snap->path, arg->path, sizeof(snap->path));
	strscpy(snap->store_path, arg->store_path, sizeof(snap->store_path));
	snap->floor_percent = arg->floor_percent;
	snap->sequence = ++last_sequence;
	origin->nr_snaps++;
	__module_get(THIS_MODULE);

	err = ida_alloc_range(&minor_ida, 1, HCP_MAX_SNAPSHOTS, GFP_KERNEL);
	if (err < 0) {
		if (err == -ENOSPC)
			*reason = "there are as many hot copies as there can be (255)";
		goto fail;
	}
	snap->minor = err;
	err = snap_init_io(snap);
	if (!err)
		err = hcp_disk_new(snap);
	if (!err)
		return snap;
fail:
	hcp_snap_free(snap);
	return ERR_PTR(err);
}

static void free_private(struct hcp_snap *snap)
{
	struct hcp_region *region;
	unsigned long index;
	unsigned int i;

	xa_for_each(&snap->private.regions, index, region)
		for (i = 0; i < region->nr; i++)
			hcp_store_free(snap->origin->store, region->extent[i].store,
				       region->extent[i].count);
}

/*
 * Gives up what @snap holds: old data that @heir (the next older one, or NULL) needs
 * goes to it, all else is free again.  It gets no I/O any more, hcp_control_lock is
 * held.
 */
void hcp_snap_bury(struct hcp_snap *snap, struct hcp_snap *heir)
{
	struct hcp_origin *origin = snap->origin;

	wait_var_event(&snap->nr_requests, !atomic_read(&snap->nr_requests));

	mutex_lock(&origin->cow_lock);
	WRITE_ONCE(snap->dying, true);
	mutex_unlock(&origin->cow_lock);

	/* What could not be handed over is missing there; ending it all needs no memory. */
	while (hcp_chain_hand_over(origin, snap, heir)) {
		hcp_origin_fail(origin, HCP_STATE_FAILED, "no memory to remove a hot copy");
		heir = NULL;
	}
	free_private(snap);
	hcp_map_destroy(&snap->private);
	hcp_map_init(&snap->private);
	atomic64_set(&snap->private_units, 0);
	atomic64_set(&snap->preserved_units, 0);
}

/* Frees a hot copy that is in no chain; its origin may have one left. */
void hcp_snap_free(struct hcp_snap *snap)
{
	struct hcp_origin *origin = snap->origin;

	list_del(&snap->node);
	hcp_disk_end(snap);
	if (snap->wq)
		destroy_workqueue(snap->wq);
	if (snap->recheck_wq)
		destroy_workqueue(snap->recheck_wq);
	if (snap->written_wq)
		destroy_workqueue(snap->written_wq);
	if (snap->merge_page)
		__free_page(snap->merge_page);
	mempool_exit(&snap->request_pool);
	bioset_exit(&snap->recheck_bios);
	bioset_exit(&snap->piece_bios);
	hcp_map_destroy(&snap->preserved);
	hcp_map_destroy(&snap->private);
	hcp_changed_destroy(&snap->changed);
	hcp_free_destroy(snap->free);
	if (snap->minor)
		ida_free(&minor_ida, snap->minor);
	origin->nr_snaps--;
	kfree(snap);
	module_put(THIS_MODULE);
}

/*
 * Ends a hot copy; -EBUSY while it is open.  hcp_control_lock is held, and let go for
 * what may take long: creation and removal are kept out by another lock.
 */
int hcp_snap_remove(struct hcp_snap *snap, const char **reason)
{
	struct hcp_origin *origin = snap->origin;
	struct hcp_snap *older;
	struct hcp_chain *chain;
	unsigned int minor = snap->minor;
	int err;

	chain = hcp_chain_alloc(origin->nr_snaps, GFP_KERNEL);
	if (!chain)
		return -ENOMEM;
	err = hcp_disk_close(snap);
	if (err) {
		kfree(chain);
		*reason = "its device is in use (mounted, or open)";
		return err;
	}

	/* It gets no I/O any more.  What is under way may need a store to grow. */
	mutex_unlock(&hcp_control_lock);
	wait_var_event(&snap->nr_requests, !atomic_read(&snap->nr_requests));
	mutex_lock(&hcp_control_lock);

	hcp_disk_end(snap);
	older = hcp_snap_is_active(snap) ? hcp_chain_older(origin, snap) : NULL;
	hcp_snap_bury(snap, older);
	hcp_chain_swap_out(origin, chain, snap);
	synchronize_rcu();	/* who walks the old chain, and hcp_io_done() */
	/* Nobody fills its maps any more, asleep below cow_lock or not. */
	mutex_lock(&origin->cow_lock);
	mutex_unlock(&origin->cow_lock);
	if (older)
		hcp_changed_merge(origin, &snap->changed, &older->changed);

	hcp_snap_free(snap);
	hcp_event();
	if (!origin->nr_snaps)
		hcp_origin_free(origin);
	pr_debug("hcp%u removed\n", minor);
	return 0;
}

/* The hot copy with the lowest number from @minor on, or NULL. */
struct hcp_snap *hcp_snap_next(unsigned int minor)
{
	struct hcp_snap *snap, *next = NULL;

	list_for_each_entry(snap, &hcp_snaps, node)
		if (snap->minor >= minor && (!next || snap->minor < next->minor))
			next = snap;
	return next;
}

/*
 * The hot copies of the origin are no good any more; it goes on unhindered.  The first
 * reason stays.  May be called in any worker.
 */
void hcp_origin_fail(struct hcp_origin *origin, enum hcp_state state, const char *failure)
{
	struct hcp_chain *chain;
	unsigned int i;

	spin_lock(&origin->chain_lock);
	chain = rcu_dereference_protected(origin->chain,
					  lockdep_is_held(&origin->chain_lock));
	for (i = 0; !chain->dead && i < chain->nr; i++) {
		struct hcp_snap *snap = chain->snap[i];

		strscpy(snap->failure, failure, sizeof(snap->failure));
		WRITE_ONCE(snap->state, state);
		pr_err("hcp%u of %pg ended: %s\n", snap->minor, origin->bdev, failure);
	}
	/* Only now writes pass without a copy: a reader that sees one sees the state. */
	smp_store_release(&chain->dead, true);
	spin_unlock(&origin->chain_lock);
	hcp_event_ended();
}

/* Tells what was free at the frozen moment, once; hcp_control_lock is held. */
int hcp_snap_set_free(struct hcp_snap *snap, const struct hcp_ioc_free *arg, const char **reason)
{
	struct hcp_free *free;

	if (snap->free) {
		*reason = "the free blocks of the hot copy are known already";
		return -EEXIST;
	}
	if (atomic64_read(&snap->private_units)) {
		*reason = "the hot copy was written to";
		return -EBUSY;
	}
	free = hcp_free_new(arg, snap->nr_sectors, reason);
	if (IS_ERR(free))
		return PTR_ERR(free);
	smp_store_release(&snap->free, free);
	return 0;
}
