// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A write that was let go before the flip and reaches the device after it would change
 * what the hot copy finds on the origin.  A freeze waits for the writes of a filesystem;
 * for those of a raw device somebody has to.
 */
#include <linux/blk-mq.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/part_stat.h>
#include <linux/string.h>

#include "drain.h"
#include "hook.h"
#include "io.h"
#include "origin.h"
#include "submitters.h"

static long stat_writes(hcp_part_t *part)
{
	long writes = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		writes += part_stat_local_read_cpu(part, in_flight[1], cpu);
	return writes;
}

/* Never less than there are, since none begins: the queue is stopped. */
static bool has_writes(struct gendisk *disk)
{
	hcp_part_t *part;
	unsigned long i;
	bool has = false;

	rcu_read_lock();
	hcp_for_each_part(disk, i, part)
		has = has || stat_writes(part);
	rcu_read_unlock();
	return has;
}

static bool drain_counted(struct gendisk *disk, unsigned long deadline)
{
	while (has_writes(disk)) {
		if (time_after(jiffies, deadline))
			return false;
		usleep_range(500, 1000);
	}
	return true;
}

/* Of device mapper, without a request queue. */
static bool is_mapped(const struct gendisk *disk)
{
	return !queue_is_mq(disk->queue) && strstarts(disk->disk_name, "dm-");
}

/*
 * A disk without a request queue that counts a write as long as it is under way.  Device
 * mapper does, but for the targets that HCP_CREATE_UNCOUNTED is for.
 */
static bool counts_writes(const struct gendisk *disk)
{
	return is_mapped(disk) && hcp_dm_counts(disk->queue);
}

/* Jiffies, at least one: who waits looks once more. */
static unsigned long until(unsigned long deadline)
{
	long left = deadline - jiffies;	/* which may pass it between two looks */

	return left > 0 ? left : 1;
}

/*
 * The queue is stopped until nobody is in it.  That is all there is of a disk with a
 * request queue, and who is in ->submit_bio() of another.
 */
static bool drain_queue(struct gendisk *disk, unsigned long deadline)
{
	bool done;

	blk_freeze_queue_start(disk->queue);
	done = blk_mq_freeze_queue_wait_timeout(disk->queue, until(deadline)) > 0;
	/* Whether it counts all of them is another question; what it does is waited for. */
	if (done && is_mapped(disk))
		done = drain_counted(disk, deadline);
	hcp_mq_unfreeze_queue(disk->queue);
	return done;
}

static int await_submitters(unsigned long deadline)
{
	int err = hcp_hook_wait(until(deadline));

	return err ? err : hcp_submitters_wait(deadline);
}

/*
 * Whether everybody gets on who submits anything to any device: otherwise there is no
 * need to hold writes only to find out.  -EAGAIN, -ENOMEM.
 */
int hcp_drain_may_begin(unsigned long deadline, const char **reason)
{
	int err = await_submitters(deadline);

	if (err == -EAGAIN)
		*reason = "a process does not get on with writing (to any device); try again";
	return err;
}

/*
 * Waits until @deadline (jiffies) for the writes to an origin, which is held, or gets
 * hot copies that need no later ones.  @complete: all were seen; otherwise nobody can
 * tell for this kind of disk, but what is done in ->submit_bio() is done.  -EAGAIN,
 * -ENOMEM.
 */
int hcp_drain(struct hcp_origin *origin, unsigned long deadline, bool *complete,
	      const char **reason)
{
	struct gendisk *disk = origin->disk;
	int err = await_submitters(deadline);

	if (!err && !drain_queue(disk, deadline))
		err = -EAGAIN;
	if (err == -EAGAIN)
		*reason = "the device did not end its writes in time; try again when it is less busy";
	if (err)
		return err;
	*complete = queue_is_mq(disk->queue) || counts_writes(disk);
	return 0;
}
