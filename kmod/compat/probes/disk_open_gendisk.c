// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blkdev.h>
int hcp_probe(const struct block_device_operations *ops, struct gendisk *disk);
int hcp_probe(const struct block_device_operations *ops, struct gendisk *disk)
{
	return ops->open(disk, BLK_OPEN_READ);
}
