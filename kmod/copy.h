/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A copy: old data of the origin on its way to the store.  It never crosses a region.
 *
 *	hcp_copy_start()	READING: the read is under way, writes wait
 *	read_work		COPYING: the data is here, the writes are let go
 *	store_work		several copies make a batch, one write to the store
 *	batch_work		STORED
 */
#ifndef HCP_COPY_H
#define HCP_COPY_H

#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/llist.h>
#include <linux/refcount.h>

#include "map.h"
#include "unit.h"

struct hcp_origin;
struct hcp_snap;

struct hcp_copy {
	struct hcp_origin *origin;
	u64 unit;			/* the first one */
	unsigned int count;		/* units read */
	DECLARE_BITMAP(wanted, HCP_COPY_UNITS);	/* those to be kept; fixed before the read */
	bool around;			/* more than writes need; fixed before the read */
	refcount_t refs;		/* readers of its memory, and its own way */

	/* region lock; its map has some of the copy, or NULL: nobody needs it any more */
	struct hcp_snap *snap;
	struct bio_list waiters;	/* region lock: writes that wait for the read */

	struct llist_node done;		/* of origin->read_done, then of origin->dropped */
	struct list_head ready;		/* of origin->ready; ready_lock */
	unsigned int assigned;		/* units looked at for batches; store_work only */
	unsigned int dropped;		/* units that will not be stored; store_work only */
	unsigned int unsettled;		/* units without a final place; batch_work only */

	struct bio bio;			/* the read, and the pages; last: its bio_set has a front */
};

int hcp_copy_start_around(struct hcp_origin *origin, struct hcp_snap *snap, u64 unit);
void hcp_copy_submit_reads(struct hcp_origin *origin);
int hcp_copy_start(struct hcp_origin *origin, struct hcp_snap *snap, u64 unit,
		   unsigned int count);
void *hcp_copy_address(struct hcp_copy *copy, unsigned int unit_offset);
struct page *hcp_copy_page(struct hcp_copy *copy, unsigned int unit_offset,
			   unsigned int *offset);
void hcp_copy_put(struct hcp_copy *copy);
void hcp_copy_lose(struct hcp_copy *copy);
bool hcp_copy_is_needed(struct hcp_copy *copy);
void hcp_copy_read_work(struct work_struct *work);
unsigned int hcp_copy_wanted(const struct hcp_copy *copy, unsigned int from);
bool hcp_copy_memory_is_short(void);
void hcp_copy_memory_init(void);

#endif /* HCP_COPY_H */
