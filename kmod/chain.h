/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The chain: the hot copies of an origin, oldest first.  A unit is copied at most
 * once, into the newest that needs it; an older one finds it there.
 *
 * A chain is immutable but for @dead; a new one is swapped in (RCU).
 */
#ifndef HCP_CHAIN_H
#define HCP_CHAIN_H

#include <linux/rcupdate.h>
#include <linux/types.h>

#include "map.h"

struct hcp_origin;
struct hcp_snap;

struct hcp_chain {
	struct rcu_head rcu;
	bool dead;			/* the store failed: none of them is any good */
	unsigned int nr;
	struct hcp_snap *snap[];
};

enum hcp_need {
	HCP_NEED_NOTHING,	/* every hot copy has what it needs */
	HCP_NEED_WAIT,		/* the old data is being read */
	HCP_NEED_COPY,		/* the old data has to be read first */
};

/* What hcp_chain_need() found, for @run units. */
struct hcp_needed {
	struct hcp_snap *snap;	/* HCP_NEED_COPY: whose copy it will be */
	struct hcp_copy *copy;	/* HCP_NEED_WAIT */
	unsigned int run;
};

struct hcp_chain *hcp_chain_alloc(unsigned int nr, gfp_t gfp);
void hcp_chain_swap_in(struct hcp_origin *origin, struct hcp_chain *chain,
		       struct hcp_snap *newest);
void hcp_chain_swap_out(struct hcp_origin *origin, struct hcp_chain *chain,
			const struct hcp_snap *snap);
struct hcp_snap *hcp_chain_older(struct hcp_origin *origin, const struct hcp_snap *snap);

enum hcp_need hcp_chain_need(struct hcp_origin *origin, u64 unit, unsigned int count,
			     struct hcp_needed *needed);
bool hcp_chain_may_pass(struct hcp_origin *origin, sector_t first, sector_t end);
bool hcp_chain_note(struct hcp_origin *origin, sector_t first, sector_t end);
void hcp_chain_reserve_marks(struct hcp_origin *origin, sector_t first, sector_t end);
bool hcp_chain_is_idle(struct hcp_origin *origin);
const struct hcp_extent *hcp_chain_find(const struct hcp_snap *snap, u64 unit,
					unsigned int *run);
int hcp_chain_hand_over(struct hcp_origin *origin, struct hcp_snap *from,
			struct hcp_snap *to);

#endif /* HCP_CHAIN_H */
