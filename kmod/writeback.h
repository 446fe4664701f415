/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies on their way from memory to the store, in large batches. */
#ifndef HCP_WRITEBACK_H
#define HCP_WRITEBACK_H

#include <linux/workqueue.h>

struct hcp_batch;
struct hcp_copy;
struct hcp_origin;

struct hcp_batch *hcp_batch_new(struct hcp_origin *origin);
void hcp_batch_free(struct hcp_batch *batch);

void hcp_writeback_add(struct hcp_origin *origin, struct hcp_copy *copy);
void hcp_writeback_hurry(struct hcp_origin *origin);
void hcp_writeback_store_work(struct work_struct *work);
void hcp_writeback_batch_work(struct work_struct *work);

#endif /* HCP_WRITEBACK_H */
