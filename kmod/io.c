// SPDX-License-Identifier: GPL-2.0-or-later
/* See io.h. */
#include "io.h"

/*
 * Every bio that this module submits goes through here: the hook knows them by the
 * return address.  The barrier keeps the call from becoming a jump, which would hide
 * us and recurse for ever.
 */
noinline hcp_submit_t hcp_io_submit(struct bio *bio)
{
#ifdef HCP_HAVE_SUBMIT_COOKIE
	blk_qc_t cookie = submit_bio_noacct(bio);

	barrier();
	return cookie;
#else
	submit_bio_noacct(bio);
	barrier();
#endif
}

/*
 * Called when a bio ends, in any context: hands it to a worker.  The worker may be
 * quicker than we are and free all of this; who frees it waits for RCU first.
 */
void hcp_io_done(struct llist_node *node, struct llist_head *list,
		 struct workqueue_struct *wq, struct work_struct *work)
{
	rcu_read_lock();
	if (llist_add(node, list))
		queue_work(wq, work);
	rcu_read_unlock();
}

/* The block device that @file is, or NULL. */
struct block_device *hcp_file_bdev(struct file *file)
{
	struct inode *inode = file->f_mapping->host;

	if (!S_ISBLK(file_inode(file)->i_mode))
		return NULL;
	return I_BDEV(inode);
}

sector_t hcp_bdev_file_sectors(const struct file *bdev_file)
{
	return i_size_read(bdev_file->f_mapping->host) >> SECTOR_SHIFT;
}
