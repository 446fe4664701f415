// SPDX-License-Identifier: GPL-2.0-or-later
/* Free units; see free.h. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "free.h"
#include "mutant.h"
#include "unit.h"

/* Ranges copied from the caller at a time. */
#define HCP_FREE_CHUNK	256

/* Adds the whole units of one range; @last is where the one before ended. */
static int free_add(struct hcp_free *free, const struct hcp_ioc_extent *range, u64 *last,
		    sector_t nr_sectors)
{
	u64 end = range->sector + range->nr_sectors;
	struct hcp_free_run run;

	if (!range->nr_sectors || end < range->sector || range->sector < *last ||
	    end > nr_sectors)
		return -EINVAL;
	*last = end;
	run.first = hcp_mutant(FREE_TOO_MUCH) ? hcp_unit_of(range->sector) :
						hcp_unit_behind(range->sector);
	run.end = hcp_unit_of(end);
	if (run.first >= run.end)
		return 0;
	free->nr_units += run.end - run.first;
	if (free->nr && free->run[free->nr - 1].end == run.first)
		free->run[free->nr - 1].end = run.end;
	else
		free->run[free->nr++] = run;
	return 0;
}

static int free_read(struct hcp_free *free, const struct hcp_ioc_free *arg,
		     sector_t nr_sectors, const char **reason)
{
	const struct hcp_ioc_extent __user *from = u64_to_user_ptr(arg->ranges);
	struct hcp_ioc_extent *chunk;
	unsigned int done, count, i;
	u64 last = 0;
	int err = 0;

	chunk = kmalloc_array(HCP_FREE_CHUNK, sizeof(*chunk), GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	for (done = 0; done < arg->nr && !err; done += count) {
		count = min_t(unsigned int, HCP_FREE_CHUNK, arg->nr - done);
		if (copy_from_user(chunk, from + done, count * sizeof(*chunk)))
			err = -EFAULT;
		for (i = 0; i < count && !err; i++) {
			err = free_add(free, &chunk[i], &last, nr_sectors);
			if (err)
				*reason = "the free ranges are not sorted, overlap, or lie outside the device";
		}
		cond_resched();
	}
	kfree(chunk);
	return err;
}

/* An ERR_PTR. */
struct hcp_free *hcp_free_new(const struct hcp_ioc_free *arg, sector_t nr_sectors,
			      const char **reason)
{
	struct hcp_free *free;
	int err;

	if (arg->nr > HCP_MAX_FREE) {
		*reason = "there are too many free ranges; leave out the shortest";
		return ERR_PTR(-E2BIG);
	}
	free = kvzalloc(struct_size(free, run, arg->nr), GFP_KERNEL);
	if (!free)
		return ERR_PTR(-ENOMEM);
	err = free_read(free, arg, nr_sectors, reason);
	if (!err)
		return free;
	kvfree(free);
	return ERR_PTR(err);
}

void hcp_free_destroy(struct hcp_free *free)
{
	kvfree(free);
}

/*
 * Whether @unit was free; NULL: nothing was.  @run comes in as the units asked for and
 * goes out as how many of them the answer is good for.
 */
bool hcp_free_holds(const struct hcp_free *free, u64 unit, unsigned int *run)
{
	unsigned int low = 0, high;

	if (!free)
		return false;
	/* The first run that ends behind @unit. */
	for (high = free->nr; low < high;) {
		unsigned int mid = (low + high) / 2;

		if (free->run[mid].end > unit)
			high = mid;
		else
			low = mid + 1;
	}
	if (low == free->nr)
		return false;
	if (free->run[low].first > unit) {
		*run = min_t(u64, *run, free->run[low].first - unit);
		return false;
	}
	*run = min_t(u64, *run, free->run[low].end - unit);
	return true;
}
