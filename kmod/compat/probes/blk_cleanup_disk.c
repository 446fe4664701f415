// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blkdev.h>
void hcp_probe(struct gendisk *disk);
void hcp_probe(struct gendisk *disk) { blk_cleanup_disk(disk); }
