// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/blk-mq.h>
void hcp_probe(struct request_queue *q);
void hcp_probe(struct request_queue *q) { blk_mq_unfreeze_queue_nomemrestore(q); }
