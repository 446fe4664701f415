/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generated from matrix.yaml by python -m installer.render: change it there. */
	{
		.release = "6.1.*",
		.version = "*Debian 6.1.6[45]-*",
		.reason = "writes with O_SYNC and O_DIRECT to ext4 end up in wrong places, which damages files (ext4-o-sync-corruption): boot another kernel",
	},
	{
		.release = "6.1.6[45]",
		.version = "*",
		.reason = "writes with O_SYNC and O_DIRECT to ext4 end up in wrong places, which damages files (ext4-o-sync-corruption): boot another kernel",
	},
	{
		.release = "6.1.6[45]-*",
		.version = "*",
		.reason = "writes with O_SYNC and O_DIRECT to ext4 end up in wrong places, which damages files (ext4-o-sync-corruption): boot another kernel",
	},
