// SPDX-License-Identifier: GPL-2.0-or-later
/* Must not compile: else nothing that follows means anything. */
#include <linux/blkdev.h>
int hcp_probe(struct bio *bio);
int hcp_probe(struct bio *bio) { return bio->hcp_there_is_no_such_field; }
