// SPDX-License-Identifier: GPL-2.0-or-later
/* Freezing; see freeze.h.  hcp_control_lock is held throughout. */
#include <linux/file.h>

#include "freeze.h"
#include "io.h"

static struct super_block *frozen_sb(const struct hcp_frozen *fs)
{
	return file_inode(fs->file)->i_sb;
}

/* Takes the files; hcp_freeze_put() in any case. */
int hcp_freeze_get(struct hcp_freeze *freeze, const s32 *fds, unsigned int nr,
		   const char **reason)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct hcp_frozen *fs = &freeze->fs[i];

		fs->file = fget(fds[i]);
		if (!fs->file) {
			*reason = "a filesystem to freeze is not an open file";
			return -EBADF;
		}
		freeze->nr++;
		if (!frozen_sb(fs)->s_bdev || S_ISBLK(file_inode(fs->file)->i_mode)) {
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

/* One that is frozen already stays so while s_umount is held: a thaw takes it. */
static bool hold_frozen(struct hcp_frozen *fs)
{
	struct super_block *sb = frozen_sb(fs);

	down_read(&sb->s_umount);
	fs->held = sb->s_writers.frozen == SB_FREEZE_COMPLETE;
	if (!fs->held)
		up_read(&sb->s_umount);
	return fs->held;
}

/* All or none. */
int hcp_freeze_all(struct hcp_freeze *freeze, const char **reason)
{
	unsigned int i;
	int err;

	for (i = 0; i < freeze->nr; i++) {
		struct hcp_frozen *fs = &freeze->fs[i];

		err = hcp_freeze_bdev(frozen_sb(fs)->s_bdev);
		if (!err) {
			fs->frozen_by_us = true;
		} else if (err != -EBUSY || !hold_frozen(fs)) {
			*reason = "a filesystem could not be frozen";
			hcp_thaw_all(freeze);
			return err;
		}
	}
	return 0;
}

void hcp_thaw_all(struct hcp_freeze *freeze)
{
	unsigned int i;

	for (i = freeze->nr; i-- > 0;) {
		struct hcp_frozen *fs = &freeze->fs[i];
		struct super_block *sb = frozen_sb(fs);

		if (fs->held)
			up_read(&sb->s_umount);
		else if (fs->frozen_by_us && hcp_thaw_bdev(sb->s_bdev, sb))
			pr_err("%pg could not be thawed\n", sb->s_bdev);
		fs->held = false;
		fs->frozen_by_us = false;
	}
}
