// SPDX-License-Identifier: GPL-2.0-or-later
/* Events; see event.h. */
#include <linux/kobject.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "event.h"
#include "origin.h"
#include "snapshot.h"

static atomic64_t last_event = ATOMIC64_INIT(1);
static DECLARE_WAIT_QUEUE_HEAD(event_wait);

/* The descriptor that lets stores grow, compared only; cmpxchg */
static struct file *keeper;

/* Something has happened.  Any context that may take a spinlock. */
void hcp_event(void)
{
	atomic64_inc(&last_event);
	wake_up_all(&event_wait);
}

bool hcp_event_has_keeper(void)
{
	return READ_ONCE(keeper);
}

static const char *state_name(enum hcp_state state)
{
	return state == HCP_STATE_OVERFLOW ? "overflow" : "failed";
}

/* Tells udev that a hot copy has ended; hcp_control_lock is held. */
static void announce(struct hcp_snap *snap)
{
	char *env[] = { NULL, NULL, NULL };
	char reason[HCP_REASON_LEN];
	enum hcp_state state;

	spin_lock(&snap->origin->chain_lock);
	state = snap->state;
	strscpy(reason, snap->failure, sizeof(reason));
	spin_unlock(&snap->origin->chain_lock);
	env[0] = kasprintf(GFP_KERNEL, "HCP_STATE=%s", state_name(state));
	env[1] = kasprintf(GFP_KERNEL, "HCP_REASON=%s", reason);
	if (env[0] && env[1])
		kobject_uevent_env(&disk_to_dev(snap->disk)->kobj, KOBJ_CHANGE, env);
	kfree(env[0]);
	kfree(env[1]);
}

static void ended_work(struct work_struct *work)
{
	unsigned int noio = memalloc_noio_save();
	struct hcp_snap *snap;

	/* Creation may wait for the lock with filesystems frozen, writes held. */
	mutex_lock(&hcp_control_lock);
	list_for_each_entry(snap, &hcp_snaps, node) {
		if (hcp_snap_is_active(snap) || snap->announced || !snap->disk_added)
			continue;
		snap->announced = true;
		announce(snap);
	}
	mutex_unlock(&hcp_control_lock);
	memalloc_noio_restore(noio);
}

static DECLARE_WORK(ended, ended_work);

/* Hot copies have ended by themselves.  Any context that may take a spinlock. */
void hcp_event_ended(void)
{
	schedule_work(&ended);
	hcp_event();
}

/* Makes @file the keeper's, if it is not; -EBUSY: another one is. */
static int become_keeper(struct file *file)
{
	struct file *before = cmpxchg(&keeper, NULL, file);

	return before && before != file ? -EBUSY : 0;
}

/* Waits for an event behind arg->seen; -EINTR. */
int hcp_event_wait(struct file *file, struct hcp_ioc_wait *arg)
{
	struct hcp_snap *snap;
	long left;
	int err;

	if (arg->flags & ~HCP_WAIT_KEEPER)
		return -EINVAL;
	if (arg->flags & HCP_WAIT_KEEPER) {
		err = become_keeper(file);
		if (err)
			return err;
	}
	left = wait_event_interruptible_timeout(event_wait,
						atomic64_read(&last_event) != arg->seen,
						msecs_to_jiffies(arg->timeout_ms));
	if (left < 0)
		return -EINTR;

	if (mutex_lock_killable(&hcp_control_lock))
		return -EINTR;
	arg->seen = atomic64_read(&last_event);
	arg->nr_hot_copies = 0;
	list_for_each_entry(snap, &hcp_snaps, node)
		arg->nr_hot_copies++;
	mutex_unlock(&hcp_control_lock);
	arg->nr_keepers = hcp_event_has_keeper();
	return 0;
}

/* @file is closed for good. */
void hcp_event_release(struct file *file)
{
	cmpxchg(&keeper, file, NULL);
}

/* The work may still be on its way when the last hot copy is gone. */
void hcp_event_exit(void)
{
	flush_work(&ended);
}
