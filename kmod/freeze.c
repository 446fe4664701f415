// SPDX-License-Identifier: GPL-2.0-or-later
/* Freezing; see freeze.h.  One creation at a time; freeze and thaw without hcp_control_lock. */
#include <linux/delay.h>
#include <linux/file.h>

#include "freeze.h"
#include "io.h"

#define HCP_HOLD_TRIES	50

static struct super_block *frozen_sb(const struct hcp_frozen *fs)
{
	return file_inode(fs->file)->i_sb;
}

/* btrfs has several devices, and so no s_bdev. */
static int freeze_sb(struct super_block *sb)
{
	return sb->s_bdev ? hcp_freeze_bdev(sb->s_bdev) : hcp_freeze_super(sb);
}

static int thaw_sb(struct super_block *sb)
{
	return sb->s_bdev ? hcp_thaw_bdev(sb->s_bdev, sb) : hcp_thaw_super(sb);
}

/*
 * When somebody else thawed it meanwhile, or had frozen it before us, the kernel takes a
 * thaw of the device for one that was never done: it would count as frozen for ever.
 */
static void thaw_failed(struct super_block *sb, int err)
{
	struct block_device *bdev = sb->s_bdev;

	if (err != -EINVAL) {
		pr_err("%s could not be thawed: error %d\n", sb->s_id, err);
		return;
	}
	if (bdev) {
		mutex_lock(&bdev->bd_fsfreeze_mutex);
		hcp_uncount_freeze(bdev);
		mutex_unlock(&bdev->bd_fsfreeze_mutex);
	}
	if (READ_ONCE(sb->s_writers.frozen) == SB_UNFROZEN)
		pr_warn("%s was thawed by somebody else\n", sb->s_id);
}

static bool is_listed(const struct hcp_freeze *freeze, const struct hcp_frozen *fs)
{
	unsigned int i;

	for (i = 0; i < freeze->nr; i++)
		if (frozen_sb(&freeze->fs[i]) == frozen_sb(fs))
			return true;
	return false;
}

/* Takes the files, one of each filesystem; hcp_freeze_put() in any case. */
int hcp_freeze_get(struct hcp_freeze *freeze, const s32 *fds, unsigned int nr,
		   const char **reason)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct hcp_frozen *fs = &freeze->fs[freeze->nr];

		fs->file = fget(fds[i]);
		if (!fs->file) {
			*reason = "a filesystem to freeze is not an open file";
			return -EBADF;
		}
		if (is_listed(freeze, fs)) {
			fput(fs->file);
			continue;
		}
		freeze->nr++;
		if (!(frozen_sb(fs)->s_type->fs_flags & FS_REQUIRES_DEV) ||
		    S_ISBLK(file_inode(fs->file)->i_mode)) {
			*reason = "a filesystem to freeze is not on a block device";
			return -EOPNOTSUPP;
		}
	}
	return 0;
}

void hcp_freeze_put(struct hcp_freeze *freeze)
{
	while (freeze->nr)
		fput(freeze->fs[--freeze->nr].file);
}

/*
 * Whoever wants to thaw the filesystem needs s_umount, so that it stays frozen while we
 * have it.  To wait for it could be for ever: its holder may wait for the thaw.
 */
static int hold_frozen(struct hcp_frozen *fs, const char **reason)
{
	struct super_block *sb = frozen_sb(fs);
	unsigned int tries;

	for (tries = 0; !down_read_trylock(&sb->s_umount); tries++) {
		if (tries == HCP_HOLD_TRIES) {
			*reason = "a filesystem is being unmounted, remounted or thawed; try again";
			return -EAGAIN;
		}
		usleep_range(200, 400);
	}
	fs->held = true;
	if (sb->s_writers.frozen == SB_FREEZE_COMPLETE)
		return 0;
	*reason = fs->frozen_by_us ? "a filesystem was thawed by somebody else; try again" :
		"something else keeps a filesystem from being frozen; try again when that has ended";
	return -EAGAIN;
}

/* All or none.  Two passes: a later one must not need what an earlier one holds. */
int hcp_freeze_all(struct hcp_freeze *freeze, const char **reason)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < freeze->nr && !err; i++) {
		struct hcp_frozen *fs = &freeze->fs[i];

		err = freeze_sb(frozen_sb(fs));
		fs->frozen_by_us = !err;
		/* Frozen by somebody already, or not: the second pass will see. */
		if (err == -EBUSY)
			err = 0;
		if (err)
			*reason = "a filesystem could not be frozen";
	}
	for (i = 0; i < freeze->nr && !err; i++)
		err = hold_frozen(&freeze->fs[i], reason);
	if (err)
		hcp_thaw_all(freeze);
	return err;
}

void hcp_thaw_all(struct hcp_freeze *freeze)
{
	unsigned int i;
	int err;

	for (i = freeze->nr; i-- > 0;) {
		struct hcp_frozen *fs = &freeze->fs[i];
		struct super_block *sb = frozen_sb(fs);

		if (fs->held)
			up_read(&sb->s_umount);
		err = fs->frozen_by_us ? thaw_sb(sb) : 0;
		if (err)
			thaw_failed(sb, err);
		fs->held = false;
		fs->frozen_by_us = false;
	}
}
