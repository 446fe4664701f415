/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How writes to a live device are seen: ftrace on the way into the block layer. */
#ifndef HCP_HOOK_H
#define HCP_HOOK_H

#include "compat.h"

struct hcp_origin;

int hcp_hook_track(struct hcp_origin *origin, const char **reason);
void hcp_hook_untrack(struct hcp_origin *origin);
int hcp_hook_init(void);
void hcp_hook_exit(void);

int hcp_hook_enter(void);
void hcp_hook_leave(int idx);
int hcp_hook_wait(unsigned long timeout);
hcp_submit_t hcp_hook_route(struct bio *bio, const struct hcp_origin *from);

#endif /* HCP_HOOK_H */
