// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hook.  While there are hot copies, an ftrace callback with the right to change
 * the instruction pointer (as livepatch has) sits on submit_bio_noacct().  It lets
 * everything pass but the writes to a tracked disk; these continue in
 * hcp_hook_submit_bio(), which takes the place of the function called.
 */
#include <linux/completion.h>
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include "cow.h"
#include "hook.h"
#include "io.h"
#include "mutant.h"
#include "origin.h"

#define HCP_HOOKED	"submit_bio_noacct"

/*
 * The tracked origins.  An origin keeps its slot; a bio visits them in slot order.
 * Written under hcp_control_lock, read under RCU.
 */
struct hcp_slot {
	const struct gendisk *disk;	/* to look no further than the slot; NULL: free */
	struct hcp_origin __rcu *origin;
};

static struct hcp_slot hcp_slots[HCP_MAX_SNAPSHOTS];
static unsigned int hcp_slots_end;	/* one behind the last in use */

/* A bio that was submitted only to see that it comes by; hcp_control_lock. */
static struct {
	const struct bio *bio;		/* NULL: it has, or there is none; set last */
	const struct gendisk *disk;	/* a driver that passes it on does not count */
	const struct task_struct *task;	/* nor does a worker */
} hook_test;

/* Who judges writes and lets them go, asleep below hcp_hook_route() perhaps. */
static struct srcu_struct text_srcu;

/* Which operations change the origin.  Zone operations: zoned devices are refused. */
static __always_inline bool bio_changes_data(const struct bio *bio)
{
	return op_is_write(bio_op(bio)) && bio->bi_iter.bi_size;
}

static void notrace hcp_hook_callback(unsigned long ip, unsigned long parent_ip,
				      struct ftrace_ops *ops, hcp_ftrace_regs_t *fregs);

static struct ftrace_ops hcp_hook_ops = {
	.func = hcp_hook_callback,
	.flags = FTRACE_OPS_FL_DYNAMIC | FTRACE_OPS_FL_IPMODIFY |
		 FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_RECURSION |
		 HCP_FTRACE_REGS_FLAG,
};

/* Whether some origin takes @bio, which comes out of the queue of @from (or NULL). */
static bool hook_steal(struct bio *bio, const struct hcp_origin *from)
{
	sector_t sector = hcp_bio_disk_sector(bio);
	bool stolen = false;
	unsigned int i;

	rcu_read_lock();
	for (i = 0; i < READ_ONCE(hcp_slots_end) && !stolen; i++) {
		struct hcp_origin *origin = rcu_dereference(hcp_slots[i].origin);
		sector_t first, end;

		if (hcp_mutant(SLEEP_ATOMIC))
			might_sleep();
		if (origin && hcp_origin_clip(origin, hcp_bio_disk(bio), sector,
					      bio_sectors(bio), &first, &end))
			stolen = hcp_cow_steal(origin, bio, first, end, from);
	}
	rcu_read_unlock();
	return stolen;
}

/*
 * Where a write goes: into the queue of an origin that must copy first, or on to the
 * device.  A bio may touch several origins (a disk and its partition).  One that comes
 * out of the queue of @from is shown to the others again: they may have got a hot copy
 * meanwhile.
 */
hcp_submit_t hcp_hook_route(struct bio *bio, const struct hcp_origin *from)
{
	int idx = hcp_hook_enter();
#ifdef HCP_HAVE_SUBMIT_COOKIE
	hcp_submit_t cookie = BLK_QC_T_NONE;

	if (!hook_steal(bio, from))
		cookie = hcp_io_submit(bio);
	hcp_hook_leave(idx);
	return cookie;
#else
	if (!hook_steal(bio, from))
		hcp_io_submit(bio);
	hcp_hook_leave(idx);
#endif
}

/* Stands in for submit_bio_noacct(). */
static noinline hcp_submit_t hcp_hook_submit_bio(struct bio *bio)
{
	return hcp_hook_route(bio, NULL);
}

/* What is judged after this is let go, or not, before hcp_hook_leave().  May sleep. */
int hcp_hook_enter(void) __acquires(&text_srcu)
{
	return srcu_read_lock(&text_srcu);
}

void hcp_hook_leave(int idx) __releases(&text_srcu)
{
	srcu_read_unlock(&text_srcu, idx);
}

struct hook_waiter {
	struct rcu_head rcu;
	struct completion done;
	refcount_t refs;	/* who waits, and the callback */
};

static void hook_waiter_put(struct hook_waiter *waiter)
{
	if (refcount_dec_and_test(&waiter->refs))
		kfree(waiter);
}

static void hook_passed(struct rcu_head *rcu)
{
	struct hook_waiter *waiter = container_of(rcu, struct hook_waiter, rcu);

	complete(&waiter->done);
	hook_waiter_put(waiter);
}

/*
 * Waits until the block layer has taken every write that was judged before.  -EAGAIN
 * when it has not in @timeout jiffies: it may be another device that takes none; -ENOMEM.
 */
int hcp_hook_wait(unsigned long timeout)
{
	struct hook_waiter *waiter;
	bool passed;

	/* Writes are held back: better to fail than to wait for memory. */
	waiter = kmalloc(sizeof(*waiter), GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
	if (!waiter)
		return -ENOMEM;
	init_completion(&waiter->done);
	refcount_set(&waiter->refs, 2);
	call_srcu(&text_srcu, &waiter->rcu, hook_passed);
	passed = wait_for_completion_timeout(&waiter->done, timeout);
	hook_waiter_put(waiter);
	return passed ? 0 : -EAGAIN;
}

/*
 * Called for every bio of the machine: no lock, no list walk.  A slot that changes
 * meanwhile does no harm: hcp_hook_route() looks again.  Ours pass: their caller is
 * hcp_io_submit().
 */
static void notrace hcp_hook_callback(unsigned long ip, unsigned long parent_ip,
				      struct ftrace_ops *ops, hcp_ftrace_regs_t *fregs)
{
	const struct bio *bio = (struct bio *)hcp_ftrace_argument(fregs);
	unsigned int i;

	if (unlikely(bio == READ_ONCE(hook_test.bio)) && hook_test.task == current &&
	    hook_test.disk == hcp_bio_disk(bio))
		WRITE_ONCE(hook_test.bio, NULL);
	if (!bio_changes_data(bio))
		return;
	for (i = 0; i < READ_ONCE(hcp_slots_end); i++)
		if (READ_ONCE(hcp_slots[i].disk) == hcp_bio_disk(bio))
			break;
	if (i < READ_ONCE(hcp_slots_end) && !within_module(parent_ip, THIS_MODULE))
		hcp_ftrace_redirect(fregs, (unsigned long)hcp_hook_submit_bio);
}

static int hook_register(const char **reason)
{
	int err;

	/* By name ftrace would look up that of every function of the kernel. */
	err = ftrace_set_filter_ip(&hcp_hook_ops, (unsigned long)submit_bio_noacct, 0, 1);
	/* The call it patches may lie behind an ENDBR, which kernels before 5.18 do not skip. */
	if (err == -EINVAL)
		err = ftrace_set_filter(&hcp_hook_ops, HCP_HOOKED, strlen(HCP_HOOKED), 1);
	if (err) {
		*reason = "the kernel has no " HCP_HOOKED " to hook (is it built with function tracing?)";
		return err;
	}
	err = register_ftrace_function(&hcp_hook_ops);
	if (!err)
		return 0;
	ftrace_set_filter(&hcp_hook_ops, NULL, 0, 1);
	if (err == -EBUSY)
		*reason = "another module (a snapshot driver, a live patch) holds " HCP_HOOKED ", or function tracing is off (sysctl kernel.ftrace_enabled=0)";
	else if (err == -ENODEV)
		*reason = "function tracing is switched off after a bug in the kernel";
	else
		*reason = "hooking " HCP_HOOKED " failed";
	return err;
}

static void hook_unregister(void)
{
	/* After a bug in ftrace the call stays patched: so must we, for ever. */
	if (WARN_ON(unregister_ftrace_function(&hcp_hook_ops)))
		__module_get(THIS_MODULE);
	ftrace_set_filter(&hcp_hook_ops, NULL, 0, 1);
}

/*
 * Sees that what is submitted comes by.  A compiler that merges the function into its
 * caller, submit_bio(), would have us miss writes, without a word.
 */
static int hook_try(struct hcp_origin *origin, const char **reason)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct bio_vec vec;
	struct bio bio;
	bool works;

	if (!page)
		return -ENOMEM;
	/* NOWAIT: a device that is suspended refuses it, which is of no interest. */
	hcp_bio_init(&bio, origin->bdev, &vec, 1, REQ_OP_READ | REQ_NOWAIT);
	__bio_add_page(&bio, page, origin->block_size, 0);
	hook_test.disk = origin->disk;
	hook_test.task = current;
	smp_store_release(&hook_test.bio, &bio);
	submit_bio_wait(&bio);
	works = !READ_ONCE(hook_test.bio);
	WRITE_ONCE(hook_test.bio, NULL);
	bio_uninit(&bio);
	__free_page(page);
	if (works)
		return 0;
	*reason = "what is written does not come by " HCP_HOOKED " in this kernel";
	return -EOPNOTSUPP;
}

/* From here on the writes to @origin are looked at.  hcp_control_lock is held. */
int hcp_hook_track(struct hcp_origin *origin, const char **reason)
{
	unsigned int slot;
	int err;

	for (slot = 0; slot < ARRAY_SIZE(hcp_slots) && hcp_slots[slot].disk; slot++)
		;
	if (slot == ARRAY_SIZE(hcp_slots)) {
		*reason = "too many devices have hot copies";
		return -ENOSPC;
	}
	if (!hcp_slots_end) {
		err = hook_register(reason);
		if (err)
			return err;
		err = hook_try(origin, reason);
		if (err) {
			hook_unregister();
			return err;
		}
	}
	origin->slot = slot;
	rcu_assign_pointer(hcp_slots[slot].origin, origin);
	WRITE_ONCE(hcp_slots[slot].disk, origin->disk);
	WRITE_ONCE(hcp_slots_end, max(hcp_slots_end, slot + 1));
	return 0;
}

/*
 * The writes to @origin pass from here on; those that were looked at have been passed
 * or queued when this returns.  hcp_control_lock is held.
 */
void hcp_hook_untrack(struct hcp_origin *origin)
{
	unsigned int end = hcp_slots_end;

	WRITE_ONCE(hcp_slots[origin->slot].disk, NULL);
	RCU_INIT_POINTER(hcp_slots[origin->slot].origin, NULL);
	while (end && !hcp_slots[end - 1].disk)
		end--;
	WRITE_ONCE(hcp_slots_end, end);
	synchronize_rcu();
	if (!end)
		hook_unregister();
}

/* Before the text goes away: nobody is in it, asleep or on the way in or out. */
void hcp_hook_exit(void)
{
	synchronize_rcu_tasks();
	synchronize_srcu(&text_srcu);
	synchronize_rcu_tasks();
	srcu_barrier(&text_srcu);
	cleanup_srcu_struct(&text_srcu);
}

int hcp_hook_init(void)
{
	return init_srcu_struct(&text_srcu);
}
