/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one way down to the block layer, and small facts about devices. */
#ifndef HCP_IO_H
#define HCP_IO_H

#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/llist.h>
#include <linux/workqueue.h>

#include "compat.h"

hcp_submit_t hcp_io_submit(struct bio *bio);
void hcp_io_done(struct llist_node *node, struct llist_head *list,
		 struct workqueue_struct *wq, struct work_struct *work);
struct block_device *hcp_file_bdev(struct file *file);
sector_t hcp_bdev_file_sectors(const struct file *bdev_file);

#endif /* HCP_IO_H */
