// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/bio.h>
#include <linux/blkdev.h>
void *hcp_probe(struct block_device *bdev, struct bio *bio, struct bio_set *bs);
void *hcp_probe(struct block_device *bdev, struct bio *bio, struct bio_set *bs)
{
	bio_init(bio, bdev, NULL, 0, REQ_OP_READ);
	bio_alloc_clone(bdev, bio, GFP_NOIO, bs);
	return bio_alloc_bioset(bdev, 1, REQ_OP_READ, GFP_NOIO, bs);
}
