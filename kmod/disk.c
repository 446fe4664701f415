// SPDX-License-Identifier: GPL-2.0-or-later
/* The block device /dev/hcpN: its life, and the way in for its I/O. */
#include <linux/module.h>

#include "disk.h"
#include "io.h"
#include "origin.h"
#include "request.h"
#include "snapshot.h"
#include "unit.h"

static int hcp_major;

/* Guards disk->private_data, snap->openers and snap->closing. */
static DEFINE_SPINLOCK(open_lock);

static HCP_DISK_OPEN(hcp_disk_open)
{
	struct hcp_snap *snap;
	int err = -ENXIO;

	spin_lock(&open_lock);
	snap = HCP_DISK_OPEN_DISK->private_data;
	if (snap && !snap->closing) {
		snap->openers++;
		err = 0;
	}
	spin_unlock(&open_lock);
	return err;
}

static HCP_DISK_RELEASE(hcp_disk_release)
{
	struct hcp_snap *snap;

	spin_lock(&open_lock);
	snap = disk->private_data;
	snap->openers--;
	spin_unlock(&open_lock);
}

/* Hands the bio to a worker; see request.h for why. */
static hcp_submit_t hcp_disk_submit_bio(struct bio *bio)
{
	struct hcp_snap *snap = hcp_bio_disk(bio)->private_data;

	if (!hcp_snap_is_active(snap) || (op_is_write(bio_op(bio)) && snap->read_only)) {
		bio_io_error(bio);
		return HCP_SUBMIT_NONE;
	}
	/* There is no cache to flush: the hot copy does not outlive the machine. */
	if (!bio_sectors(bio)) {
		bio_endio(bio);
		return HCP_SUBMIT_NONE;
	}
	if (bio_op(bio) != REQ_OP_READ && bio_op(bio) != REQ_OP_WRITE) {
		bio->bi_status = BLK_STS_NOTSUPP;
		bio_endio(bio);
		return HCP_SUBMIT_NONE;
	}
	hcp_bio_clear_polled(bio);
	atomic_inc(&snap->nr_requests);
	spin_lock(&snap->queue_lock);
	bio_list_add(&snap->queue, bio);
	spin_unlock(&snap->queue_lock);
	queue_work(snap->wq, &snap->queue_work);
	return HCP_SUBMIT_NONE;
}

static const struct block_device_operations hcp_disk_ops = {
	.owner = THIS_MODULE,
	.open = hcp_disk_open,
	.release = hcp_disk_release,
	.submit_bio = hcp_disk_submit_bio,
};

static void disk_serve(struct hcp_snap *snap, struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	struct hcp_request *request;

	if (bio_op(bio) == REQ_OP_WRITE && hcp_snap_is_active(snap)) {
		hcp_write(snap, bio);
		return;
	}
	/* One that has died meanwhile serves errors only: hcp_read() and hcp_request_put(). */
	request = hcp_request_new(snap, bio);
	hcp_request_start(request);
	hcp_read(request, sector, sector + bio_sectors(bio));
	hcp_request_put(request, 0);
}

void hcp_disk_queue_work(struct work_struct *work)
{
	struct hcp_snap *snap = container_of(work, struct hcp_snap, queue_work);
	struct bio_list bios;
	struct blk_plug plug;
	struct bio *bio;

	spin_lock(&snap->queue_lock);
	bios = snap->deferred;
	bio_list_init(&snap->deferred);
	bio_list_merge(&bios, &snap->queue);
	bio_list_init(&snap->queue);
	spin_unlock(&snap->queue_lock);

	blk_start_plug(&plug);
	while ((bio = bio_list_pop(&bios)))
		disk_serve(snap, bio);
	blk_finish_plug(&plug);
}

bool hcp_disk_is_ours(const struct gendisk *disk)
{
	return disk->fops == &hcp_disk_ops;
}

/* Makes the disk of @snap, which nobody sees yet. */
int hcp_disk_new(struct hcp_snap *snap)
{
	const struct hcp_origin *origin = snap->origin;
	struct hcp_disk_limits limits = {
		.logical_block_size = origin->block_size,
		.physical_block_size = HCP_UNIT_SIZE,
		.dma_alignment = origin->dma_alignment,
	};
	struct gendisk *disk = hcp_disk_alloc(&limits);

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->major = hcp_major;
	disk->first_minor = snap->minor;
	disk->fops = &hcp_disk_ops;
	disk->private_data = snap;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "hcp%u", snap->minor);
	/* Less than a block at the end cannot be read, where the store has larger blocks. */
	set_capacity(disk, round_down(snap->nr_sectors, origin->block_size >> SECTOR_SHIFT));
	set_disk_ro(disk, snap->read_only);
	snap->disk = disk;
	return 0;
}

/* From here on there is /dev/hcpN. */
int hcp_disk_publish(struct hcp_snap *snap)
{
	int err = hcp_disk_add(snap->disk);

	snap->disk_added = !err;
	return err;
}

bool hcp_disk_is_open(struct hcp_snap *snap)
{
	bool open;

	spin_lock(&open_lock);
	open = snap->openers;
	spin_unlock(&open_lock);
	return open;
}

/* No more opens; -EBUSY when there is one. */
int hcp_disk_close(struct hcp_snap *snap)
{
	int err = 0;

	spin_lock(&open_lock);
	if (snap->openers)
		err = -EBUSY;
	else
		snap->closing = true;
	spin_unlock(&open_lock);
	return err;
}

/* Ends the disk, which is closed or was never published. */
void hcp_disk_end(struct hcp_snap *snap)
{
	if (!snap->disk)
		return;
	if (snap->disk_added)
		del_gendisk(snap->disk);
	/* Whoever holds the disk still finds it empty. */
	spin_lock(&open_lock);
	snap->disk->private_data = NULL;
	spin_unlock(&open_lock);
	hcp_disk_free(snap->disk, snap->disk_added);
	snap->disk = NULL;
}

int hcp_disk_init(void)
{
	hcp_major = register_blkdev(0, HCP_CONTROL_NAME);
	return min(hcp_major, 0);
}

void hcp_disk_exit(void)
{
	unregister_blkdev(hcp_major, HCP_CONTROL_NAME);
}
