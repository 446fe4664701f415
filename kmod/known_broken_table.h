/* SPDX-License-Identifier: GPL-2.0-or-later */
	{
		.release = "6.1.*",
		.version = "*Debian 6.1.64-1 *",
		.reason = "this kernel damages data on ext4 (Debian bug 1057843): upgrade it first",
	},
