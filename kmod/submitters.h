/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is in the middle of submitting I/O. */
#ifndef HCP_SUBMITTERS_H
#define HCP_SUBMITTERS_H

int hcp_submitters_wait(unsigned long deadline);

#endif /* HCP_SUBMITTERS_H */
