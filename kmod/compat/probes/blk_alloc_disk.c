// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blkdev.h>
void *hcp_probe(void);
void *hcp_probe(void) { return blk_alloc_disk(NUMA_NO_NODE); }
