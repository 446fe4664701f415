/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HCP_IOC_CREATE. */
#ifndef HCP_CREATE_H
#define HCP_CREATE_H

#include "hcp_ioctl.h"

int hcp_create(struct hcp_ioc_create *arg, const char **reason);

#endif /* HCP_CREATE_H */
