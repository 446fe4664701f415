/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is told of hot copies through /dev/hcp. */
#ifndef HCP_INFO_H
#define HCP_INFO_H

#include "hcp_ioctl.h"

struct hcp_snap;

void hcp_snap_info(struct hcp_snap *snap, struct hcp_ioc_info *info);
int hcp_info_store(struct hcp_snap *snap, struct hcp_ioc_store *info);
int hcp_info_changed(struct hcp_snap *snap, struct hcp_snap *until,
		     struct hcp_ioc_changed *arg, struct hcp_ioc_extent *extent,
		     const char **reason);

#endif /* HCP_INFO_H */
