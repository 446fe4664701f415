// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blkdev.h>
void *hcp_probe(struct bio *bio);
void *hcp_probe(struct bio *bio) { return bio->bi_bdev; }
