// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blkdev.h>
int hcp_probe(struct gendisk *disk);
int hcp_probe(struct gendisk *disk) { return add_disk(disk); }
