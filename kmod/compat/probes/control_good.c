// SPDX-License-Identifier: GPL-2.0-or-later
/* Must compile: else it is the compiler or the headers that are broken. */
#include <linux/blkdev.h>
int hcp_probe(struct bio *bio);
int hcp_probe(struct bio *bio) { return bio->bi_opf; }
