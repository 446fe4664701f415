/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several filesystems frozen as one. */
#ifndef HCP_FREEZE_H
#define HCP_FREEZE_H

#include <linux/fs.h>

#include "hcp_ioctl.h"

struct hcp_frozen {
	struct file *file;	/* keeps the filesystem mounted */
	bool frozen_by_us;	/* and not by somebody else before */
	bool held;		/* s_umount is held: nobody can thaw it meanwhile */
};

struct hcp_freeze {
	unsigned int nr;
	struct hcp_frozen fs[HCP_MAX_FREEZE];
};

int hcp_freeze_get(struct hcp_freeze *freeze, const s32 *fds, unsigned int nr,
		   const char **reason);
void hcp_freeze_put(struct hcp_freeze *freeze);
int hcp_freeze_all(struct hcp_freeze *freeze, const char **reason);
void hcp_thaw_all(struct hcp_freeze *freeze);

#endif /* HCP_FREEZE_H */
