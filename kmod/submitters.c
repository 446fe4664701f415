// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A task that submits a bio to a stack of devices, or one that is split, keeps what
 * comes of it in a list of its own and works that off.  What is in there has been past
 * the hook, but is in no queue yet, where it would be waited for.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "submitters.h"

#define HCP_FEW_TASKS	64U
#define HCP_MANY_TASKS	(1U << 20)

static bool is_submitting(struct task_struct *task)
{
	return READ_ONCE(task->bio_list);
}

/* References to up to @room tasks that are at it; how many there are in all. */
static unsigned int collect(struct task_struct **task, unsigned int room)
{
	struct task_struct *process, *thread;
	unsigned int nr = 0;

	rcu_read_lock();
	for_each_process_thread(process, thread) {
		if (!is_submitting(thread))
			continue;
		if (nr < room)
			task[nr] = get_task_struct(thread);
		nr++;
	}
	rcu_read_unlock();
	return nr;
}

/* Each was seen to be done with it once, by @deadline; the references are given up. */
static bool await(struct task_struct **task, unsigned int nr, unsigned long deadline)
{
	bool done = true;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		while (done && is_submitting(task[i])) {
			done = time_before(jiffies, deadline);
			usleep_range(100, 200);
		}
		put_task_struct(task[i]);
	}
	return done;
}

/*
 * Waits until everybody who is in the middle of submitting has come to an end of it.
 * -EAGAIN when somebody has not by @deadline (jiffies): a device takes nothing from him;
 * -ENOMEM.
 */
int hcp_submitters_wait(unsigned long deadline)
{
	struct task_struct **task;
	unsigned int room, nr;
	bool done;

	for (room = HCP_FEW_TASKS; room <= HCP_MANY_TASKS; room *= 4) {
		/* Writes are held back: better to fail than to wait for memory. */
		task = kvmalloc_array(room, sizeof(*task),
				      GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
		if (!task)
			return -ENOMEM;
		nr = collect(task, room);
		done = await(task, min(nr, room), deadline);
		kvfree(task);
		if (!done)
			return -EAGAIN;
		if (nr <= room)
			return 0;
	}
	return -EAGAIN;
}
