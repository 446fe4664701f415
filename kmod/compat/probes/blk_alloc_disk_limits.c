// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blkdev.h>
void *hcp_probe(struct queue_limits *lim);
void *hcp_probe(struct queue_limits *lim) { return blk_alloc_disk(lim, NUMA_NO_NODE); }
