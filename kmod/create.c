// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Creation: everything is allocated first; then the filesystems are frozen, one pointer
 * for each origin is flipped, and they are thawed.
 */
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "chain.h"
#include "cow.h"
#include "create.h"
#include "disk.h"
#include "drain.h"
#include "event.h"
#include "freeze.h"
#include "io.h"
#include "known_broken.h"
#include "origin.h"
#include "snapshot.h"

/* For so long at most the queue of each disk, which may be mounted, is stopped. */
#define HCP_SETTLE_LIMIT	HZ

#define HCP_CREATE_FLAGS \
	(HCP_CREATE_READ_ONLY | HCP_CREATE_FIXED_STORE | HCP_CREATE_UNCOUNTED)

struct creating {
	struct hcp_ioc_origin arg;
	struct hcp_origin *origin;
	bool is_new;			/* @origin is, with its first hot copy */
	bool drained;			/* all writes before the flip were waited for */
	struct hcp_snap *snap;
	struct hcp_chain *chain;	/* to be swapped in; NULL afterwards */
};

struct creation {
	unsigned int nr;
	struct creating item[HCP_MAX_ORIGINS];
	s32 fds[HCP_MAX_FREEZE];
	struct hcp_freeze freeze;
};

static int copy_args(struct creation *creation, const struct hcp_ioc_create *arg)
{
	const struct hcp_ioc_origin __user *origins = u64_to_user_ptr(arg->origins);
	unsigned int i;

	if (!arg->nr_origins || arg->nr_origins > HCP_MAX_ORIGINS ||
	    arg->nr_freeze > HCP_MAX_FREEZE)
		return -EINVAL;
	for (i = 0; i < arg->nr_origins; i++) {
		struct hcp_ioc_origin *origin = &creation->item[i].arg;

		if (copy_from_user(origin, &origins[i], sizeof(*origin)))
			return -EFAULT;
		if (origin->size != sizeof(*origin) || origin->minor || origin->reserved ||
		    origin->flags & ~HCP_CREATE_FLAGS ||
		    origin->floor_percent > 99)
			return -EINVAL;
	}
	if (copy_from_user(creation->fds, u64_to_user_ptr(arg->freeze_fds),
			   arg->nr_freeze * sizeof(creation->fds[0])))
		return -EFAULT;
	return 0;
}

/* Space held by hot copies that have failed is for the next one. */
static void bury_the_dead(struct hcp_origin *origin)
{
	struct hcp_snap *snap;

	list_for_each_entry(snap, &hcp_snaps, node)
		if (snap->origin == origin && !hcp_snap_is_active(snap) &&
		    !atomic_read(&snap->nr_requests))
			hcp_snap_bury(snap, NULL);
}

static int get_origin(struct creating *item, struct file *file, const char **reason)
{
	struct hcp_origin *origin;

	origin = hcp_origin_find(hcp_file_bdev(file));
	if (origin && item->arg.segment) {
		*reason = "the device has its space for changed blocks already";
		return -EEXIST;
	}
	if (!origin && !item->arg.segment) {
		*reason = "the device has no space for changed blocks yet";
		return -ENODATA;
	}
	if (origin) {
		if (origin->nr_sectors != hcp_bdev_file_sectors(file)) {
			*reason = "the device was resized since its first hot copy was made; remove that first";
			return -EBUSY;
		}
		bury_the_dead(origin);
	} else {
		origin = hcp_origin_new(file, &item->arg, reason);
		if (IS_ERR(origin))
			return PTR_ERR(origin);
		item->is_new = true;
	}
	item->origin = origin;
	return 0;
}

static int prepare(struct creation *creation, struct creating *item, const char **reason)
{
	struct hcp_snap *snap;
	struct file *file;
	unsigned int i;
	int err;

	file = fget(item->arg.bdev_fd);
	if (!file)
		return -EBADF;
	if (!hcp_file_bdev(file)) {
		*reason = "the origin is not a block device";
		err = -ENOTBLK;
	} else {
		err = get_origin(item, file, reason);
	}
	fput(file);
	if (err)
		return err;
	for (i = 0; i < creation->nr; i++) {
		if (creation->item[i].origin == item->origin && item != &creation->item[i]) {
			*reason = "a device is named twice";
			item->origin = NULL;
			return -EINVAL;
		}
	}

	snap = hcp_snap_new(item->origin, &item->arg, reason);
	if (IS_ERR(snap))
		return PTR_ERR(snap);
	item->snap = snap;
	item->arg.minor = snap->minor;
	item->chain = hcp_chain_alloc(item->origin->nr_snaps, GFP_KERNEL);
	return item->chain ? 0 : -ENOMEM;
}

/* Takes back what was prepared, whatever of it there is. */
static void unprepare(struct creating *item)
{
	kfree(item->chain);
	if (item->snap)
		hcp_snap_free(item->snap);
	if (item->origin && !item->origin->nr_snaps)
		hcp_origin_free(item->origin);
}

/*
 * From here on nothing is written to raw devices, until let_go().  One after the other:
 * what an upper one has taken must still get through to a lower one.
 */
static int hold(struct creation *creation, const char **reason)
{
	unsigned long deadline = jiffies + HCP_DRAIN_LIMIT;
	unsigned int i;
	int err = hcp_drain_may_begin(deadline, reason);

	if (err)
		return err;
	deadline = jiffies + HCP_DRAIN_LIMIT;
	for (i = 0; i < creation->nr && !err; i++) {
		struct creating *item = &creation->item[i];

		hcp_cow_hold(item->origin);
		err = hcp_drain(item->origin, deadline, &item->drained, reason);
	}
	return err;
}

static void let_go(struct creation *creation)
{
	unsigned int i;

	for (i = 0; i < creation->nr; i++)
		hcp_cow_release(creation->item[i].origin);
}

/* Until resume(), nothing that a hot copy would miss is on its way to a device. */
static int quiesce(struct creation *creation, const char **reason)
{
	int err;

	if (creation->freeze.nr)
		return hcp_freeze_all(&creation->freeze, reason);
	err = hold(creation, reason);
	if (err)
		let_go(creation);
	return err;
}

static void resume(struct creation *creation)
{
	if (creation->freeze.nr)
		hcp_thaw_all(&creation->freeze);
	else
		let_go(creation);
}

static bool any_is_new(const struct creation *creation)
{
	unsigned int i;

	for (i = 0; i < creation->nr; i++)
		if (creation->item[i].is_new)
			return true;
	return false;
}

/* Who was about to write before the hook was there is past the place where it is. */
static void wait_for_the_unhooked(const struct creation *creation)
{
	if (any_is_new(creation) && !creation->freeze.nr)
		synchronize_rcu_tasks();
}

/*
 * Filesystems were frozen, and nobody held the writes to the raw devices of the group.
 * What was let go before the instant is part of it; it must be there before somebody
 * reads the hot copy.  Best effort: nobody can wait for all kinds of devices, nor
 * without memory.
 */
static void settle_raw(const struct creation *creation)
{
	const char *ignored;
	bool complete, any = false;
	unsigned int i;

	for (i = 0; i < creation->nr; i++)
		any = any || creation->item[i].arg.flags & HCP_CREATE_UNCOUNTED;
	if (!any || !creation->freeze.nr)
		return;
	if (any_is_new(creation))
		synchronize_rcu_tasks();
	for (i = 0; i < creation->nr; i++) {
		const struct creating *item = &creation->item[i];

		if (item->arg.flags & HCP_CREATE_UNCOUNTED &&
		    hcp_drain(item->origin, jiffies + HCP_SETTLE_LIMIT, &complete, &ignored))
			pr_warn("hcp%u may still get writes from before it was made\n",
				item->snap->minor);
	}
}

/* The instant: nothing here allocates, and no user code runs while it lasts. */
static int arm(struct creation *creation, struct hcp_ioc_create *arg, const char **reason)
{
	unsigned int noio, i;
	u64 created_ns;
	ktime_t begin;
	int err;

	/* Should anything below allocate after all, it must not write to what is frozen. */
	noio = memalloc_noio_save();
	/* A freeze waits for several grace periods, which are most of its time. */
	rcu_expedite_gp();

	/*
	 * What is written back now may need a store to grow, which takes the lock.  Nothing
	 * of ours can go meanwhile: that takes another lock, which we have.
	 */
	mutex_unlock(&hcp_control_lock);
	wait_for_the_unhooked(creation);
	begin = ktime_get();
	err = quiesce(creation, reason);
	mutex_lock(&hcp_control_lock);
	if (err)
		goto out;
	for (i = 0; i < creation->nr; i++) {
		struct creating *item = &creation->item[i];

		hcp_chain_swap_in(item->origin, item->chain, item->snap);
		item->chain = NULL;
	}
	created_ns = ktime_get_real_ns();
	for (i = 0; i < creation->nr; i++) {
		struct hcp_snap *snap = creation->item[i].snap;

		/* What nobody froze or waited for may still be on its way to the device. */
		if (!creation->freeze.nr && !creation->item[i].drained)
			snap->changed.lost = true;
		if (creation->item[i].arg.flags & HCP_CREATE_UNCOUNTED)
			snap->changed.lost = true;
		snap->created_ns = created_ns;
		/* From the first write on who asks what has changed must find it. */
		list_add_tail(&snap->node, &hcp_snaps);
	}
	/* A thaw takes locks (bd_fsfreeze_mutex) which a freeze holds above this one. */
	mutex_unlock(&hcp_control_lock);
	resume(creation);
	arg->frozen_ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	rcu_unexpedite_gp();
	settle_raw(creation);
	memalloc_noio_restore(noio);
	mutex_lock(&hcp_control_lock);
	for (i = 0; i < creation->nr; i++) {
		struct hcp_snap *snap = creation->item[i].snap;

		/* Those that ended during the freeze leave it their space. */
		bury_the_dead(snap->origin);
		snap->frozen_ns = arg->frozen_ns;
	}
	return 0;
out:
	rcu_unexpedite_gp();
	memalloc_noio_restore(noio);
	return err;
}

/* Tells the numbers of the devices, and shows them. */
static int publish(struct creation *creation, const struct hcp_ioc_create *arg)
{
	struct hcp_ioc_origin __user *origins = u64_to_user_ptr(arg->origins);
	unsigned int i;
	int err;

	for (i = 0; i < creation->nr; i++)
		if (put_user(creation->item[i].arg.minor, &origins[i].minor))
			return -EFAULT;
	for (i = 0; i < creation->nr; i++) {
		err = hcp_disk_publish(creation->item[i].snap);
		if (err)
			return err;
	}
	/* One that has ended by now, before it had a device, is announced as well. */
	hcp_event_ended();
	return 0;
}

static void take_back(struct creation *creation)
{
	const char *ignored;
	unsigned int i;

	for (i = 0; i < creation->nr; i++) {
		struct hcp_snap *snap = creation->item[i].snap;
		int err = hcp_snap_remove(snap, &ignored);

		/* Somebody was quick to open it, or there is no memory: it stays, and is in the list. */
		if (err)
			pr_warn("hcp%u could not be taken back: error %d\n", snap->minor, err);
	}
}

/* hcp_control_lock is held.  Nothing is left behind when it fails. */
int hcp_create(struct hcp_ioc_create *arg, const char **reason)
{
	ktime_t begin = ktime_get();
	struct creation *creation;
	int err;

	*reason = hcp_known_broken();
	if (*reason)
		return -EOPNOTSUPP;
	creation = kvzalloc(sizeof(*creation), GFP_KERNEL);
	if (!creation)
		return -ENOMEM;
	err = copy_args(creation, arg);
	if (!err)
		err = hcp_freeze_get(&creation->freeze, creation->fds, arg->nr_freeze, reason);
	while (!err && creation->nr < arg->nr_origins)
		err = prepare(creation, &creation->item[creation->nr++], reason);
	if (!err)
		err = arm(creation, arg, reason);
	if (err) {
		while (creation->nr)
			unprepare(&creation->item[--creation->nr]);
		goto out;
	}
	err = publish(creation, arg);
	if (err)
		take_back(creation);
	arg->total_ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
out:
	hcp_freeze_put(&creation->freeze);
	kvfree(creation);
	return err;
}
