// SPDX-License-Identifier: GPL-2.0-or-later
/* Extent maps; see map.h. */
#include <linux/kernel.h>
#include <linux/slab.h>

#include "map.h"

/*
 * kmalloc() has powers of two only: half of a region would be empty when its extents are
 * a few too many.  These are the sizes in between.
 */
static const unsigned short between_sizes[] = { 768, 1536, 3072, 6144 };
static struct kmem_cache *between[ARRAY_SIZE(between_sizes)];

/* How much memory a region of @nr extents gets. */
static size_t region_size(unsigned int nr)
{
	size_t bytes = sizeof(struct hcp_region) + nr * sizeof(struct hcp_extent);
	size_t size = roundup_pow_of_two(bytes);

	return size >= 1024 && bytes <= size / 4 * 3 ? size / 4 * 3 : size;
}

/* The cache for regions of @size bytes; NULL: kmalloc(). */
static struct kmem_cache *region_cache(size_t size)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(between); i++)
		if (between_sizes[i] == size)
			return between[i];
	return NULL;
}

/* A capacity that fills the memory which the region gets anyway. */
static unsigned int region_capacity(unsigned int nr)
{
	return (region_size(nr) - sizeof(struct hcp_region)) / sizeof(struct hcp_extent);
}

/* @capacity is one of region_capacity(). */
static struct hcp_region *region_new(unsigned int capacity, gfp_t gfp)
{
	size_t size = region_size(capacity);
	struct kmem_cache *cache = region_cache(size);
	struct hcp_region *region;

	region = cache ? kmem_cache_alloc(cache, gfp) : kmalloc(size, gfp);
	if (region) {
		region->nr = 0;
		region->capacity = capacity;
	}
	return region;
}

/* NULL is fine. */
void hcp_region_free(struct hcp_region *region)
{
	struct kmem_cache *cache;

	if (!region)
		return;
	cache = region_cache(region_size(region->capacity));
	if (cache)
		kmem_cache_free(cache, region);
	else
		kfree(region);
}

int hcp_map_caches_init(void)
{
	char name[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(between); i++) {
		snprintf(name, sizeof(name), "hcp_region_%u", between_sizes[i]);
		between[i] = kmem_cache_create(name, between_sizes[i], 0, 0, NULL);
		if (!between[i]) {
			hcp_map_caches_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

void hcp_map_caches_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(between); i++) {
		kmem_cache_destroy(between[i]);
		between[i] = NULL;
	}
}

void hcp_map_init(struct hcp_map *map)
{
	xa_init(&map->regions);
}

/* Frees the memory of the map; what its extents point to is the caller's. */
void hcp_map_destroy(struct hcp_map *map)
{
	struct hcp_region *region;
	unsigned long index;

	xa_for_each(&map->regions, index, region)
		hcp_region_free(region);
	xa_destroy(&map->regions);
}

static unsigned int extent_end(const struct hcp_extent *e)
{
	return e->first + e->count;
}

/* The first extent that ends behind @offset; region->nr when there is none. */
static unsigned int region_search(const struct hcp_region *region,
				  unsigned int offset)
{
	unsigned int low = 0, high = region->nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (extent_end(&region->extent[mid]) > offset)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/*
 * The extent that holds @unit, or NULL.  @run comes in as the units asked for, at
 * most to the region's end, and goes out as how many from @unit on the answer is
 * good for (at least 1).
 */
const struct hcp_extent *hcp_map_find(struct hcp_map *map, u64 unit,
				      unsigned int *run)
{
	struct hcp_region *region = xa_load(&map->regions, hcp_region_index(unit));
	unsigned int offset = hcp_region_offset(unit);
	const struct hcp_extent *e;
	unsigned int at;

	if (!region)
		return NULL;
	at = region_search(region, offset);
	if (at == region->nr)
		return NULL;
	e = &region->extent[at];
	if (e->first > offset) {
		*run = min_t(unsigned int, *run, e->first - offset);
		return NULL;
	}
	*run = min_t(unsigned int, *run, extent_end(e) - offset);
	return e;
}

static bool extents_join(const struct hcp_extent *a, const struct hcp_extent *b)
{
	if (a->state != HCP_EXTENT_STORED || b->state != HCP_EXTENT_STORED)
		return false;
	return extent_end(a) == b->first && a->store + a->count == b->store;
}

/* Makes room for @insert extents in place of those in [from, to). */
static void region_splice(struct hcp_region *region, unsigned int from,
			  unsigned int to, const struct hcp_extent *insert,
			  unsigned int nr_insert)
{
	memmove(&region->extent[from + nr_insert], &region->extent[to],
		(region->nr - to) * sizeof(*insert));
	memcpy(&region->extent[from], insert, nr_insert * sizeof(*insert));
	region->nr += nr_insert - (to - from);
}

/*
 * Makes [unit, unit + count), which lies in one region, one extent, whatever was
 * there.  -ENOSPC when there is no room: hcp_map_reserve() and try again.
 */
int hcp_map_set(struct hcp_map *map, u64 unit, unsigned int count,
		enum hcp_extent_state state, struct hcp_copy *copy, u64 store)
{
	struct hcp_region *region = xa_load(&map->regions, hcp_region_index(unit));
	unsigned int first = hcp_region_offset(unit);
	unsigned int end = first + count;
	struct hcp_extent insert[3] = {};
	unsigned int nr = 0, from, to;
	struct hcp_extent *mid, *e;

	if (!region)
		return -ENOSPC;

	from = region_search(region, first);
	e = &region->extent[from];
	if (from < region->nr && e->first < first) {
		insert[nr] = *e;
		insert[nr++].count = first - e->first;
	}

	mid = &insert[nr++];
	mid->first = first;
	mid->count = count;
	mid->state = state;
	if (state == HCP_EXTENT_STORED)
		mid->store = store;
	else
		mid->copy = copy;

	for (to = from; to < region->nr && region->extent[to].first < end; to++)
		;
	if (to > from && extent_end(&region->extent[to - 1]) > end) {
		e = &region->extent[to - 1];
		insert[nr] = *e;
		insert[nr].first = end;
		insert[nr].count = extent_end(e) - end;
		if (e->state == HCP_EXTENT_STORED)
			insert[nr].store += end - e->first;
		nr++;
	}

	/* Contiguous in the store as well: one extent with the neighbours. */
	if (mid == &insert[0] && from > 0 &&
	    extents_join(&region->extent[from - 1], mid)) {
		from--;
		mid->first = region->extent[from].first;
		mid->count += region->extent[from].count;
		mid->store = region->extent[from].store;
	}
	if (mid == &insert[nr - 1] && to < region->nr &&
	    extents_join(mid, &region->extent[to])) {
		mid->count += region->extent[to].count;
		to++;
	}
	if (region->nr + nr - (to - from) > region->capacity)
		return -ENOSPC;
	region_splice(region, from, to, insert, nr);
	return 0;
}

/* Gives the extents of @copy that touch [unit, unit + count) the state @state. */
void hcp_map_mark(struct hcp_map *map, u64 unit, unsigned int count,
		  const struct hcp_copy *copy, enum hcp_extent_state state)
{
	struct hcp_region *region = xa_load(&map->regions, hcp_region_index(unit));
	unsigned int first = hcp_region_offset(unit), at;

	if (!region)
		return;
	for (at = region_search(region, first);
	     at < region->nr && region->extent[at].first < first + count; at++) {
		struct hcp_extent *e = &region->extent[at];

		if (hcp_extent_is_copy(e) && e->copy == copy)
			e->state = state;
	}
}

/* Takes @copy out of the region of @unit; how many units of it there were. */
unsigned int hcp_map_forget(struct hcp_map *map, u64 unit, const struct hcp_copy *copy)
{
	struct hcp_region *region = xa_load(&map->regions, hcp_region_index(unit));
	unsigned int i, keep = 0, units = 0;

	for (i = 0; region && i < region->nr; i++) {
		const struct hcp_extent *e = &region->extent[i];

		if (hcp_extent_is_copy(e) && e->copy == copy)
			units += e->count;
		else
			region->extent[keep++] = *e;
	}
	if (region)
		region->nr = keep;
	return units;
}

/* Whether @copy, whose units are in the region of @unit, is anywhere in the map. */
bool hcp_map_has_copy(struct hcp_map *map, u64 unit, const struct hcp_copy *copy)
{
	const struct hcp_region *region = xa_load(&map->regions, hcp_region_index(unit));
	unsigned int i;

	for (i = 0; region && i < region->nr; i++) {
		const struct hcp_extent *e = &region->extent[i];

		if (hcp_extent_is_copy(e) && e->copy == copy)
			return true;
	}
	return false;
}

/* Takes a whole region out of the map; hcp_region_free() is for the caller.  NULL: none. */
struct hcp_region *hcp_map_take(struct hcp_map *map, unsigned long index)
{
	return xa_erase(&map->regions, index);
}

static bool region_has_room(const struct hcp_region *region, unsigned int room)
{
	return region && region->capacity >= min(region->nr + room, HCP_MAP_MAX_EXTENTS);
}

/* Whether the region at @index has room for @room more extents; lock held. */
bool hcp_map_has_room(struct hcp_map *map, unsigned long index, unsigned int room)
{
	return region_has_room(xa_load(&map->regions, index), room);
}

/*
 * Makes room for @room more extents of the region at @index (HCP_MAP_ROOM for one
 * hcp_map_set()); called without @lock, which is the region's.  Somebody else may use
 * it up before the caller has the lock, so hcp_map_set() still has to be asked.
 * -ENOMEM.
 */
int hcp_map_reserve(struct hcp_map *map, spinlock_t *lock, unsigned long index,
		    unsigned int room, gfp_t gfp)
{
	struct hcp_region *region, *bigger;
	unsigned int capacity;
	int err;

	for (;;) {
		spin_lock(lock);
		region = xa_load(&map->regions, index);
		if (region_has_room(region, room)) {
			spin_unlock(lock);
			return 0;
		}
		capacity = region_capacity(room + (region ? region->nr : 0));
		spin_unlock(lock);

		bigger = region_new(capacity, gfp);
		if (!bigger)
			return -ENOMEM;

		if (!region) {
			err = xa_insert(&map->regions, index, bigger, gfp);
			if (!err)
				return 0;
			hcp_region_free(bigger);
			if (err != -EBUSY)
				return err;
			continue;
		}

		spin_lock(lock);
		region = xa_load(&map->regions, index);
		if (region && region->nr <= capacity) {
			bigger->nr = region->nr;
			memcpy(bigger->extent, region->extent,
			       region->nr * sizeof(region->extent[0]));
			/* The slot is there, so that nothing is allocated. */
			xa_store(&map->regions, index, bigger, GFP_NOWAIT);
			bigger = region;
		}
		spin_unlock(lock);
		hcp_region_free(bigger);
	}
}
