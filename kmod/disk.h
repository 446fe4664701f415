/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The block device /dev/hcpN. */
#ifndef HCP_DISK_H
#define HCP_DISK_H

#include <linux/blkdev.h>
#include <linux/workqueue.h>

struct hcp_snap;

int hcp_disk_init(void);
void hcp_disk_exit(void);
int hcp_disk_new(struct hcp_snap *snap);
int hcp_disk_publish(struct hcp_snap *snap);
int hcp_disk_close(struct hcp_snap *snap);
void hcp_disk_end(struct hcp_snap *snap);
bool hcp_disk_is_open(struct hcp_snap *snap);
bool hcp_disk_is_ours(const struct gendisk *disk);
void hcp_disk_queue_work(struct work_struct *work);

#endif /* HCP_DISK_H */
