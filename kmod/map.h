/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extent maps: what happened to the units of one hot copy.
 *
 * A map is an xarray of regions (2 MiB each); a region is a small sorted array of
 * 16-byte extents that never cross it.  Memory follows what changed, not the disk.
 *
 * Locking: every function but hcp_map_init(), hcp_map_reserve() and
 * hcp_map_destroy() is called with the region's lock held (see hcp_region_lock()).
 */
#ifndef HCP_MAP_H
#define HCP_MAP_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/xarray.h>

#define HCP_REGION_SHIFT	9
#define HCP_REGION_UNITS	(1U << HCP_REGION_SHIFT)

/* Replacing the middle of one extent leaves two remainders and the new one. */
#define HCP_MAP_ROOM		2U
#define HCP_MAP_MAX_EXTENTS	(HCP_REGION_UNITS + HCP_MAP_ROOM)

struct hcp_copy;

enum hcp_extent_state {
	HCP_EXTENT_READING = 1,	/* being read from the origin, which still has it */
	HCP_EXTENT_COPYING,	/* in the memory of a copy, not stored yet */
	HCP_EXTENT_STORED,	/* in the store */
	HCP_EXTENT_LOST,	/* not kept; the hot copies are dead by then */
	HCP_EXTENT_FREE,	/* in no map, see hcp_chain_find(): nothing was there */
};

struct hcp_extent {
	union {
		struct hcp_copy *copy;	/* READING, COPYING; meaningless when LOST */
		u64 store;		/* STORED: the store's unit of @first */
	};
	u16 first;			/* unit within the region */
	u16 count;			/* 1..HCP_REGION_UNITS */
	u8 state;			/* enum hcp_extent_state */
};

struct hcp_region {
	u16 nr;
	u16 capacity;
	struct hcp_extent extent[];
};

struct hcp_map {
	struct xarray regions;		/* unit >> HCP_REGION_SHIFT -> struct hcp_region */
};

static inline unsigned long hcp_region_index(u64 unit)
{
	return unit >> HCP_REGION_SHIFT;
}

static inline unsigned int hcp_region_offset(u64 unit)
{
	return unit & (HCP_REGION_UNITS - 1);
}

/* How many of @count units from @unit on lie in the region of @unit. */
static inline unsigned int hcp_region_clip(u64 unit, u64 count)
{
	return min_t(u64, count, HCP_REGION_UNITS - hcp_region_offset(unit));
}

int hcp_map_caches_init(void);
void hcp_map_caches_exit(void);
void hcp_region_free(struct hcp_region *region);

void hcp_map_init(struct hcp_map *map);
void hcp_map_destroy(struct hcp_map *map);
int hcp_map_reserve(struct hcp_map *map, spinlock_t *lock, unsigned long index,
		    unsigned int room, gfp_t gfp);
bool hcp_map_has_room(struct hcp_map *map, unsigned long index, unsigned int room);

const struct hcp_extent *hcp_map_find(struct hcp_map *map, u64 unit,
				      unsigned int *run);
int hcp_map_set(struct hcp_map *map, u64 unit, unsigned int count,
		enum hcp_extent_state state, struct hcp_copy *copy, u64 store);
void hcp_map_mark(struct hcp_map *map, u64 unit, unsigned int count,
		  const struct hcp_copy *copy, enum hcp_extent_state state);
unsigned int hcp_map_forget(struct hcp_map *map, u64 unit, const struct hcp_copy *copy);
bool hcp_map_has_copy(struct hcp_map *map, u64 unit, const struct hcp_copy *copy);
struct hcp_region *hcp_map_take(struct hcp_map *map, unsigned long index);

static inline bool hcp_extent_is_copy(const struct hcp_extent *e)
{
	return e->state == HCP_EXTENT_READING || e->state == HCP_EXTENT_COPYING;
}

/* The store's unit of @unit, which lies in the STORED extent @e. */
static inline u64 hcp_extent_store(const struct hcp_extent *e, u64 unit)
{
	return e->store + hcp_region_offset(unit) - e->first;
}

#endif /* HCP_MAP_H */
