// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blkdev.h>
bool hcp_probe(const struct gendisk *disk);
bool hcp_probe(const struct gendisk *disk) { return disk->fops->rw_page; }
