/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernels on which a hot copy is known to do harm. */
#ifndef HCP_KNOWN_BROKEN_H
#define HCP_KNOWN_BROKEN_H

const char *hcp_known_broken(void);

#endif /* HCP_KNOWN_BROKEN_H */
