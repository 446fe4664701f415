// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blkdev.h>
int hcp_probe(struct block_device *bdev);
int hcp_probe(struct block_device *bdev) { return freeze_bdev(bdev) ?: thaw_bdev(bdev); }
