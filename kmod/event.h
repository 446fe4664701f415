/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happened to the hot copies, for those who wait for it: the keeper, and udev. */
#ifndef HCP_EVENT_H
#define HCP_EVENT_H

#include <linux/fs.h>

#include "hcp_ioctl.h"

void hcp_event(void);
void hcp_event_ended(void);
bool hcp_event_has_keeper(void);
int hcp_event_wait(struct file *file, struct hcp_ioc_wait *arg);
void hcp_event_release(struct file *file);
void hcp_event_exit(void);

#endif /* HCP_EVENT_H */
