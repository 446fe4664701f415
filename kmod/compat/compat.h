/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All differences between kernels.  The HCP_HAVE_* come from compat/probe.sh, which
 * compiles compat/probes/ against the kernel: version numbers lie (EL9's 5.14 has
 * APIs of 5.15 and 5.16).
 */
#ifndef HCP_COMPAT_H
#define HCP_COMPAT_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/ftrace.h>
#include <linux/highmem.h>
#include <linux/version.h>

#include "config.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "hcpdriver: kernels before 5.10 are not supported yet"
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
#error "hcpdriver: kernel 5.11 is not supported; 5.10 and 5.12 are"
#endif

/* 3e08773c3841 ("block: switch polling to be bio based"), 5.16 */
#ifdef HCP_HAVE_SUBMIT_COOKIE
typedef blk_qc_t hcp_submit_t;
#define HCP_SUBMIT_NONE	BLK_QC_T_NONE
#else
typedef void hcp_submit_t;
#define HCP_SUBMIT_NONE
#endif

#ifndef BIO_MAX_VECS	/* a8affc03a9b3 ("block: rename BIO_MAX_PAGES"), 5.12 */
#define BIO_MAX_VECS	BIO_MAX_PAGES
#endif

/* 1e1a9cecfab3 ("block: force noio scope in blk_mq_freeze_queue"), 6.14 */
#ifdef HCP_HAVE_MQ_UNFREEZE_NOMEMRESTORE
#define hcp_mq_unfreeze_queue(queue)	blk_mq_unfreeze_queue_nomemrestore(queue)
#else
#define hcp_mq_unfreeze_queue(queue)	blk_mq_unfreeze_queue(queue)
#endif

/* The counters of a disk and its partitions; under RCU.  0d02129e76ed, 5.11 */
#ifdef HCP_HAVE_BIO_BDEV
typedef struct block_device hcp_part_t;
#define hcp_for_each_part(disk, i, part)	xa_for_each(&(disk)->part_tbl, i, part)
#else
typedef struct hd_struct hcp_part_t;
#define hcp_for_each_part(disk, i, part) \
	for (i = 0, part = &(disk)->part0; i < 1; i++)	/* it counts for all */
#endif

/* Device mapper counted always, before it had a queue flag to obey (6.12; EL9's 5.14?) */
static inline bool hcp_dm_counts(struct request_queue *queue)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0) && !defined(RHEL_RELEASE_CODE)
	return true;
#else
	return blk_queue_io_stat(queue);
#endif
}

/* Exported to modules, but declared in kernel/rcu/rcu.h only; as it is since 4.1 */
#ifdef HCP_HAVE_RCU_EXPEDITE_GP
void rcu_expedite_gp(void);
void rcu_unexpedite_gp(void);
#else
static inline void rcu_expedite_gp(void) { }
static inline void rcu_unexpedite_gp(void) { }
#endif

/*
 * From now on the bio completes by interrupt.  bio_clear_polled() also keeps it out of
 * a cache that must not be used from there.  6ce913fe3eee, 5.16; REQ_HIPRI before.
 */
static inline void hcp_bio_clear_polled(struct bio *bio)
{
#if defined(HCP_HAVE_BIO_CLEAR_POLLED)
	bio_clear_polled(bio);
#elif defined(REQ_POLLED)
	bio->bi_opf &= ~REQ_POLLED;
#ifdef REQ_ALLOC_CACHE
	bio->bi_opf &= ~REQ_ALLOC_CACHE;
#endif
#else
	bio->bi_opf &= ~REQ_HIPRI;
#endif
	/* be4d234d7aeb ("bio: add allocation cache abstraction"), 5.15: a flag until 5.17 */
#ifdef HCP_HAVE_BIO_PERCPU_CACHE
	bio_clear_flag(bio, BIO_PERCPU_CACHE);
#endif
}

/* 342a72a33407 ("block: Introduce the type blk_opf_t"), 6.0 */
#ifndef HCP_HAVE_BLK_OPF_T
typedef unsigned int blk_opf_t;
#endif

/* 309dca309fc3 ("block: store a block_device pointer in struct bio"), 5.12 */
#ifdef HCP_HAVE_BIO_BDEV
static inline struct gendisk *hcp_bio_disk(const struct bio *bio)
{
	return bio->bi_bdev->bd_disk;
}

static inline sector_t hcp_bio_disk_sector(const struct bio *bio)
{
	if (bio_flagged((struct bio *)bio, BIO_REMAPPED))
		return bio->bi_iter.bi_sector;
	return bio->bi_iter.bi_sector + get_start_sect(bio->bi_bdev);
}

static inline void hcp_bio_same_dev(struct bio *bio, struct bio *as)
{
	bio_set_dev(bio, as->bi_bdev);
	if (bio_flagged(as, BIO_REMAPPED))
		bio_set_flag(bio, BIO_REMAPPED);
}
#else
static inline struct gendisk *hcp_bio_disk(const struct bio *bio)
{
	return bio->bi_disk;
}

/* The whole-disk sector; ~0 when the partition has just gone. */
static inline sector_t hcp_bio_disk_sector(const struct bio *bio)
{
	sector_t sector = ~(sector_t)0;
	struct disk_part_tbl *table;
	struct hd_struct *part;

	if (!bio->bi_partno)
		return bio->bi_iter.bi_sector;
	/* disk_get_part() is not exported; this is what it does. */
	rcu_read_lock();
	table = rcu_dereference(bio->bi_disk->part_tbl);
	part = bio->bi_partno < table->len ? rcu_dereference(table->part[bio->bi_partno]) :
					     NULL;
	if (part)
		sector = bio->bi_iter.bi_sector + part->start_sect;
	rcu_read_unlock();
	return sector;
}

static inline void hcp_bio_same_dev(struct bio *bio, struct bio *as)
{
	bio_copy_dev(bio, as);
}
#endif

/* 609be1066731 ("block: pass a block_device and opf to bio_alloc_bioset"), 5.18 */
static inline struct bio *hcp_bio_alloc(struct block_device *bdev, unsigned short nr_vecs,
					blk_opf_t opf, gfp_t gfp, struct bio_set *bs)
{
#ifdef HCP_HAVE_BIO_ALLOC_BDEV
	return bio_alloc_bioset(bdev, nr_vecs, opf, gfp, bs);
#else
	struct bio *bio = bio_alloc_bioset(gfp, nr_vecs, bs);

	if (bio) {
		if (bdev)
			bio_set_dev(bio, bdev);
		bio->bi_opf = opf;
	}
	return bio;
#endif
}

/* 49add4966d79 ("block: pass a block_device and opf to bio_init"), 5.18 */
static inline void hcp_bio_init(struct bio *bio, struct block_device *bdev,
				struct bio_vec *table, unsigned short nr, blk_opf_t opf)
{
#ifdef HCP_HAVE_BIO_ALLOC_BDEV
	bio_init(bio, bdev, table, nr, opf);
#else
	bio_init(bio, table, nr);
	bio_set_dev(bio, bdev);
	bio->bi_opf = opf;
#endif
}

/* abfc426d1b2f ("block: pass a block_device to bio_clone_fast"), 5.18 */
static inline struct bio *hcp_bio_clone(struct block_device *bdev, struct bio *bio,
					gfp_t gfp, struct bio_set *bs)
{
#ifdef HCP_HAVE_BIO_ALLOC_BDEV
	return bio_alloc_clone(bdev, bio, gfp, bs);
#else
	struct bio *clone = bio_clone_fast(bio, gfp, bs);

	if (clone)
		bio_set_dev(clone, bdev);
	return clone;
#endif
}

/* f3ba92701d6d ("mm/highmem: Provide kmap_local*"), 5.11 */
#ifndef HCP_HAVE_KMAP_LOCAL
#define kmap_local_page(page)	kmap_atomic(page)
#define kunmap_local(addr)	kunmap_atomic(addr)
#endif

/* d19633d53632 ("fs/ftrace: ftrace_regs instead of pt_regs"), 5.11 */
#ifdef HCP_HAVE_FTRACE_REGS
typedef struct ftrace_regs hcp_ftrace_regs_t;
#else
typedef struct pt_regs hcp_ftrace_regs_t;
#define FTRACE_OPS_FL_RECURSION	0	/* a25d036d939a, 5.11: protection became opt-in */
#endif

#if defined(HCP_HAVE_FTRACE_REGS_ARGS) && defined(CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS)
/* 94d095ffa0e1 ("ftrace: abstract DYNAMIC_FTRACE_WITH_ARGS accesses"), 6.2 */
#define HCP_FTRACE_REGS_FLAG	0
static __always_inline unsigned long hcp_ftrace_argument(hcp_ftrace_regs_t *fregs)
{
	return ftrace_regs_get_argument(fregs, 0);
}

static __always_inline void hcp_ftrace_redirect(hcp_ftrace_regs_t *fregs, unsigned long ip)
{
	ftrace_regs_set_instruction_pointer(fregs, ip);
}
#else
#define HCP_FTRACE_REGS_FLAG	FTRACE_OPS_FL_SAVE_REGS
#ifdef HCP_HAVE_FTRACE_REGS
#define hcp_ftrace_pt_regs(fregs)	ftrace_get_regs(fregs)
#else
#define hcp_ftrace_pt_regs(regs)	(regs)
#endif
static __always_inline unsigned long hcp_ftrace_argument(hcp_ftrace_regs_t *fregs)
{
	return regs_get_kernel_argument(hcp_ftrace_pt_regs(fregs), 0);
}

static __always_inline void hcp_ftrace_redirect(hcp_ftrace_regs_t *fregs, unsigned long ip)
{
	instruction_pointer_set(hcp_ftrace_pt_regs(fregs), ip);
}
#endif

/* 982c3b3058db ("bdev: rename freeze and thaw helpers"), 6.8 */
#if defined(HCP_HAVE_BDEV_FREEZE)
static inline int hcp_freeze_bdev(struct block_device *bdev)
{
	return bdev_freeze(bdev);
}

static inline int hcp_thaw_bdev(struct block_device *bdev, struct super_block *sb)
{
	return bdev_thaw(bdev);
}
/* 040f04bd2e82 ("fs: simplify freeze_bdev/thaw_bdev"), 5.11 */
#elif defined(HCP_HAVE_FREEZE_BDEV_INT)
static inline int hcp_freeze_bdev(struct block_device *bdev)
{
	return freeze_bdev(bdev);
}

static inline int hcp_thaw_bdev(struct block_device *bdev, struct super_block *sb)
{
	return thaw_bdev(bdev);
}
#else
static inline int hcp_freeze_bdev(struct block_device *bdev)
{
	return PTR_ERR_OR_ZERO(freeze_bdev(bdev));
}

static inline int hcp_thaw_bdev(struct block_device *bdev, struct super_block *sb)
{
	return thaw_bdev(bdev, sb);
}
#endif

/*
 * For a filesystem of several devices, which has no s_bdev to freeze it by (btrfs).
 * 880b9577855e ("fs: distinguish between user initiated freeze and kernel initiated
 * freeze"), 6.6, and its owner later ("fs: add owner of freeze/thaw")
 */
#if defined(HCP_HAVE_FREEZE_SUPER_OWNER)
#define hcp_freeze_super(sb)	freeze_super(sb, FREEZE_HOLDER_KERNEL, NULL)
#define hcp_thaw_super(sb)	thaw_super(sb, FREEZE_HOLDER_KERNEL, NULL)
#elif defined(HCP_HAVE_FREEZE_SUPER_HOLDER)
#define hcp_freeze_super(sb)	freeze_super(sb, FREEZE_HOLDER_KERNEL)
#define hcp_thaw_super(sb)	thaw_super(sb, FREEZE_HOLDER_KERNEL)
#else
#define hcp_freeze_super(sb)	freeze_super(sb)
#define hcp_thaw_super(sb)	thaw_super(sb)
#endif

/* One freeze less.  bd_fsfreeze_mutex is held; 49ef8832fb1a, 6.8: it became an atomic_t */
static inline void hcp_uncount_freeze(struct block_device *bdev)
{
#ifdef HCP_HAVE_BDEV_FREEZE
	atomic_dec_if_positive(&bdev->bd_fsfreeze_count);
#else
	if (bdev->bd_fsfreeze_count > 0)
		bdev->bd_fsfreeze_count--;
#endif
}

#include "gendisk.h"

#endif /* HCP_COMPAT_H */
