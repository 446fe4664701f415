/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control node /dev/hcp. */
#ifndef HCP_CONTROL_H
#define HCP_CONTROL_H

int hcp_control_init(void);
void hcp_control_exit(void);

#endif /* HCP_CONTROL_H */
