// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blkdev.h>
int hcp_probe(blk_opf_t opf);
int hcp_probe(blk_opf_t opf) { return opf == REQ_OP_READ; }
