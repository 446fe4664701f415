// SPDX-License-Identifier: GPL-2.0-or-later
/* Events; see event.h. */
#include <linux/kobject.h>
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

/* A hot copy that has ended. */
struct obituary {
	struct device *device;
	enum hcp_state state;
	char reason[HCP_REASON_LEN];
};

/* One that udev was not told of yet, if any; the device is referred to. */
static bool next_obituary(struct obituary *it)
{
	struct hcp_snap *snap;
	bool found = false;

	mutex_lock(&hcp_control_lock);
	list_for_each_entry(snap, &hcp_snaps, node) {
		if (hcp_snap_is_active(snap) || snap->announced || !snap->disk_added)
			continue;
		snap->announced = true;
		it->device = get_device(disk_to_dev(snap->disk));
		spin_lock(&snap->origin->chain_lock);
		it->state = snap->state;
		strscpy(it->reason, snap->failure, sizeof(it->reason));
		spin_unlock(&snap->origin->chain_lock);
		found = true;
		break;
	}
	mutex_unlock(&hcp_control_lock);
	return found;
}

/*
 * Without hcp_control_lock: whoever else sends an event may hold us up until a filesystem
 * is thawed, and creation needs that lock before it thaws.
 */
static void announce(const struct obituary *it)
{
	char *env[] = {
		kasprintf(GFP_KERNEL, "HCP_STATE=%s", state_name(it->state)),
		kasprintf(GFP_KERNEL, "HCP_REASON=%s", it->reason),
		NULL
	};

	if (env[0] && env[1])
		kobject_uevent_env(&it->device->kobj, KOBJ_CHANGE, env);
	kfree(env[0]);
	kfree(env[1]);
}

static void ended_work(struct work_struct *work)
{
	struct obituary it;

	while (next_obituary(&it)) {
		announce(&it);
		put_device(it.device);
	}
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
