/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copy before write: what happens to a write of a tracked device. */
#ifndef HCP_COW_H
#define HCP_COW_H

#include <linux/blkdev.h>
#include <linux/workqueue.h>

struct hcp_origin;

bool hcp_cow_steal(struct hcp_origin *origin, struct bio *bio, sector_t first,
		   sector_t end, const struct hcp_origin *from);
void hcp_cow_hold(struct hcp_origin *origin);
void hcp_cow_release(struct hcp_origin *origin);
void hcp_cow_note(struct hcp_origin *origin, sector_t first, sector_t end);
void hcp_cow_work(struct work_struct *work);
bool hcp_cow_has_pending(struct hcp_origin *origin);
void hcp_cow_kick(struct hcp_origin *origin);
void hcp_cow_resume(struct hcp_origin *origin, struct bio_list *bios);

#endif /* HCP_COW_H */
