/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Included before everything else: every line of ours in the kernel log begins so. */
#undef pr_fmt
#define pr_fmt(fmt) "hcp: " fmt
