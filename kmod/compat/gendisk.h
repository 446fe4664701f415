/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making and ending a bio-based disk, on every kernel. */
#ifndef HCP_COMPAT_GENDISK_H
#define HCP_COMPAT_GENDISK_H

#include <linux/blkdev.h>

struct hcp_disk_limits {
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int dma_alignment;	/* mask */
};

#ifndef HCP_HAVE_BLK_ALLOC_DISK_LIMITS
static inline void hcp_disk_set_limits(struct request_queue *queue,
				       const struct hcp_disk_limits *limits)
{
	blk_queue_logical_block_size(queue, limits->logical_block_size);
	blk_queue_physical_block_size(queue, limits->physical_block_size);
	blk_queue_dma_alignment(queue, limits->dma_alignment);
}
#endif

/* 1a02f3a73f8c ("block: move the stable_writes flag to queue_limits"), 6.11, and its kin */
static inline void hcp_disk_set_flags(struct request_queue *queue)
{
#ifndef BLK_FEAT_STABLE_WRITES
	blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, queue);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, queue);
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, queue);
#endif
}

/* Pages may be written past submit_bio_noacct(); 3222d8c2a7f8 ended that, 6.3 */
static inline bool hcp_disk_has_rw_page(const struct gendisk *disk)
{
#ifdef HCP_HAVE_RW_PAGE
	return disk->fops->rw_page;
#else
	return false;
#endif
}

/* An ERR_PTR.  The disk has no partitions and is not added yet. */
static inline struct gendisk *hcp_disk_alloc(const struct hcp_disk_limits *limits)
{
	struct gendisk *disk;

/* 74fa8f9c553f ("block: pass a queue_limits argument to blk_alloc_disk"), 6.9 */
#if defined(HCP_HAVE_BLK_ALLOC_DISK_LIMITS)
	struct queue_limits lim = {
		.logical_block_size = limits->logical_block_size,
		.physical_block_size = limits->physical_block_size,
		.dma_alignment = limits->dma_alignment,
#ifdef BLK_FEAT_STABLE_WRITES
		/* What is written goes on by reference, to a RAID 5 perhaps. */
		.features = BLK_FEAT_STABLE_WRITES | BLK_FEAT_IO_STAT,
#endif
	};

	disk = blk_alloc_disk(&lim, NUMA_NO_NODE);
	if (IS_ERR(disk))
		return disk;
/* f525464a8000 ("block: add blk_alloc_disk and blk_cleanup_disk APIs"), 5.14 */
#elif defined(HCP_HAVE_BLK_ALLOC_DISK)
	disk = blk_alloc_disk(NUMA_NO_NODE);
	if (!disk)
		return ERR_PTR(-ENOMEM);
	hcp_disk_set_limits(disk->queue, limits);
#else
	struct request_queue *queue = blk_alloc_queue(NUMA_NO_NODE);

	if (!queue)
		return ERR_PTR(-ENOMEM);
	disk = alloc_disk(1);
	if (!disk) {
		blk_cleanup_queue(queue);
		return ERR_PTR(-ENOMEM);
	}
	disk->queue = queue;
	hcp_disk_set_limits(queue, limits);
#endif
	hcp_disk_set_flags(disk->queue);
	disk->minors = 1;
/* 46e7eac647b3 ("block: rename GENHD_FL_NO_PART_SCAN to GENHD_FL_NO_PART"), 5.17 */
#ifdef HCP_HAVE_GENHD_NO_PART
	disk->flags |= GENHD_FL_NO_PART;
#else
	disk->flags |= GENHD_FL_NO_PART_SCAN;
#endif
	return disk;
}

static inline int hcp_disk_add(struct gendisk *disk)
{
/* 83cbce957446 ("block: add error handling for device_add_disk / add_disk"), 5.15 */
#ifdef HCP_HAVE_ADD_DISK_INT
	return add_disk(disk);
#else
	add_disk(disk);
	return 0;
#endif
}

/* Ends the disk; @added: hcp_disk_add() succeeded and del_gendisk() is done. */
static inline void hcp_disk_free(struct gendisk *disk, bool added)
{
/* 8b9ab6266204 ("block: remove blk_cleanup_disk"), 5.20 */
#if defined(HCP_HAVE_BLK_CLEANUP_DISK)
	blk_cleanup_disk(disk);
#elif defined(HCP_HAVE_BLK_ALLOC_DISK) || defined(HCP_HAVE_BLK_ALLOC_DISK_LIMITS)
	put_disk(disk);
#else
	struct request_queue *queue = disk->queue;

	if (!added)
		disk->queue = NULL;	/* put_disk() drops the reference add_disk() takes */
	put_disk(disk);
	blk_cleanup_queue(queue);
#endif
}

/* d32e2bf83791 ("block: pass a gendisk to ->open"), 6.5 */
#ifdef HCP_HAVE_DISK_OPEN_GENDISK
#define HCP_DISK_OPEN(name)	int name(struct gendisk *disk, blk_mode_t mode)
#define HCP_DISK_OPEN_DISK	disk
#define HCP_DISK_RELEASE(name)	void name(struct gendisk *disk)
#else
#define HCP_DISK_OPEN(name)	int name(struct block_device *bdev, fmode_t mode)
#define HCP_DISK_OPEN_DISK	bdev->bd_disk
#define HCP_DISK_RELEASE(name)	void name(struct gendisk *disk, fmode_t mode)
#endif

#endif /* HCP_COMPAT_GENDISK_H */
