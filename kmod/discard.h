/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Discards of a tracked device. */
#ifndef HCP_DISCARD_H
#define HCP_DISCARD_H

#include <linux/blkdev.h>

struct hcp_origin;

/* Part of a discard that goes on to the device. */
struct hcp_discard_piece {
	struct bio *parent;
	struct bio bio;		/* last: its bio_set has room before it */
};

void hcp_discard(struct hcp_origin *origin, struct bio *bio);

#endif /* HCP_DISCARD_H */
