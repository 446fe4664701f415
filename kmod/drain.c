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
#include "io.h"
#include "origin.h"

/* Its disk may take so long to do all that is in its queue. */
#define HCP_DRAIN_LIMIT	(10 * HZ)

/* A disk with a request queue: it is stopped until nothing is left in it. */
static bool drain_requests(struct request_queue *queue)
{
	long left;

	blk_freeze_queue_start(queue);
	left = blk_mq_freeze_queue_wait_timeout(queue, HCP_DRAIN_LIMIT);
	hcp_mq_unfreeze_queue(queue);
	return left > 0;
}

static long stat_writes(hcp_part_t *part)
{
	long writes = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		writes += part_stat_local_read_cpu(part, in_flight[1], cpu);
	return writes;
}

/* Never less than there are, since none is begun: a sum over processors. */
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

static bool drain_counted(struct gendisk *disk)
{
	unsigned long end = jiffies + HCP_DRAIN_LIMIT;

	while (has_writes(disk)) {
		if (time_after(jiffies, end))
			return false;
		usleep_range(500, 1000);
	}
	return true;
}

/* Disks without a request queue that count what is under way: MD and most of device mapper. */
static bool counts_writes(const struct gendisk *disk)
{
	return blk_queue_io_stat(disk->queue) &&
	       (strstarts(disk->disk_name, "dm-") || strstarts(disk->disk_name, "md"));
}

/*
 * Waits for the writes to a held origin.  @complete: all were seen; otherwise nobody can
 * tell for this kind of disk, but what is done in ->submit_bio() is done.
 */
int hcp_drain(struct hcp_origin *origin, bool *complete, const char **reason)
{
	struct gendisk *disk = origin->disk;
	bool done = true;

	*complete = true;
	if (queue_is_mq(disk->queue))
		done = drain_requests(disk->queue);
	else if (counts_writes(disk))
		done = drain_counted(disk);
	else
		*complete = false;
	if (done)
		return 0;
	*reason = "the device did not end its writes in time; try again when it is less busy";
	return -EAGAIN;
}
