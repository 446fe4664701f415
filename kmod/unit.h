/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Units (4 KiB, what is copied as one) and sectors (512 bytes). */
#ifndef HCP_UNIT_H
#define HCP_UNIT_H

#include <linux/blkdev.h>
#include <linux/math64.h>

#include "hcp_ioctl.h"

#define HCP_UNIT_SECTOR_SHIFT	(HCP_UNIT_SHIFT - SECTOR_SHIFT)
#define HCP_UNIT_SECTORS	(1U << HCP_UNIT_SECTOR_SHIFT)

/* Units of one copy, and of one write to the store: 1 MiB. */
#define HCP_COPY_UNITS		256U

static inline u64 hcp_unit_of(sector_t sector)
{
	return sector >> HCP_UNIT_SECTOR_SHIFT;
}

/* The first unit at or behind @sector. */
static inline u64 hcp_unit_behind(sector_t sector)
{
	return (sector + HCP_UNIT_SECTORS - 1) >> HCP_UNIT_SECTOR_SHIFT;
}

static inline sector_t hcp_unit_sector(u64 unit)
{
	return unit << HCP_UNIT_SECTOR_SHIFT;
}

/* Pages that hold @units; larger than a unit on some architectures. */
static inline unsigned int hcp_unit_pages(unsigned int units)
{
	return DIV_ROUND_UP((size_t)units << HCP_UNIT_SHIFT, PAGE_SIZE);
}

#endif /* HCP_UNIT_H */
