/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store of an origin: where old data is kept, handed out in units of HCP_UNIT_SIZE.
 * It grows by whole segments; its units are numbered through all of them.
 */
#ifndef HCP_STORE_H
#define HCP_STORE_H

#include <linux/spinlock.h>
#include <linux/types.h>

#include "segment.h"

struct hcp_store {
	bool fixed;			/* never asks to grow; fixed from creation on */
	spinlock_t lock;
	unsigned int nr;		/* @lock; read anywhere (acquire), only grows */
	struct hcp_segment *segment[HCP_MAX_SEGMENTS];
	u64 nr_units;			/* @lock */
	u64 nr_used;			/* @lock */
	bool wants_space;		/* @lock; read anywhere */
	unsigned long full_seen;	/* @lock: jiffies, when it was last found full */
	unsigned long full_since;	/* @lock: jiffies, 0: it is not full; read anywhere */
};

/* Where some units of the store are. */
struct hcp_place {
	struct block_device *bdev;
	sector_t sector;
	unsigned int run;	/* units that follow each other there */
};

#define HCP_STORE_FULL	(~0ULL)

struct hcp_store *hcp_store_new(bool fixed);
void hcp_store_close(struct hcp_store *store);
int hcp_store_add(struct hcp_store *store, struct hcp_segment *segment);
u64 hcp_store_alloc(struct hcp_store *store, unsigned int want, unsigned int *got);
void hcp_store_free(struct hcp_store *store, u64 unit, u64 count);
bool hcp_store_may_grow(struct hcp_store *store);
bool hcp_store_is_full(struct hcp_store *store);
bool hcp_store_has_plenty(struct hcp_store *store);
void hcp_store_size(struct hcp_store *store, u64 *nr_units, u64 *nr_used);
void hcp_store_place(struct hcp_store *store, u64 unit, unsigned int count,
		     struct hcp_place *place);

#endif /* HCP_STORE_H */
