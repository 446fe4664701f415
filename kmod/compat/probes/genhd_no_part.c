// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blkdev.h>
int hcp_probe(void);
int hcp_probe(void) { return GENHD_FL_NO_PART; }
