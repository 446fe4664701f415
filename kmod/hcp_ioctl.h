/* SPDX-License-Identifier: GPL-2.0-or-later WITH Linux-syscall-note */
/*
 * The interface between the driver (hcpdriver) and its users, through /dev/hcp.
 *
 * hotcopy/abi.py restates these layouts for Python; tests/unit/test_abi.py compiles
 * this header and compares every offset.
 *
 * Conventions
 *   - every structure begins with its own size in bytes; a size the driver does not
 *     know is refused with EINVAL, so a newer caller never gets half an answer;
 *   - every reserved field and every unknown flag must be zero (EINVAL);
 *   - sectors are 512 bytes, units are HCP_UNIT_SIZE bytes;
 *   - a pointer travels as __u64;
 *   - when a call fails, @reason (where there is one) holds one line for a person.
 */
#ifndef HCP_IOCTL_H
#define HCP_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HCP_CONTROL_NAME	"hcp"		/* /dev/hcp */
#define HCP_ABI_VERSION		1

#define HCP_UNIT_SHIFT		12
#define HCP_UNIT_SIZE		(1 << HCP_UNIT_SHIFT)	/* bytes copied as one */

#define HCP_REASON_LEN		160
#define HCP_PATH_LEN		256
#define HCP_VERSION_LEN		32

#define HCP_MAX_ORIGINS		16	/* origins of one HCP_IOC_CREATE */
#define HCP_MAX_FREEZE		64	/* filesystems frozen by one HCP_IOC_CREATE */
#define HCP_MAX_EXTENTS		65536	/* extents of one store segment */
#define HCP_MAX_SNAPSHOTS	255	/* hot copies at one time */

/* HCP_IOC_VERSION: the handshake; the only call that needs no matching @abi. */
struct hcp_ioc_version {
	__u32 size;
	__u32 abi;			/* out: HCP_ABI_VERSION of the driver */
	char version[HCP_VERSION_LEN];	/* out: as /sys/module/hcpdriver/version */
};

/* A run of a store segment: sectors of the segment's device. */
struct hcp_ioc_extent {
	__u64 sector;
	__u64 nr_sectors;
};

/*
 * A segment: space where old data is kept.  @file_fd is a regular file, opened
 * read-only, whose blocks on @bdev_fd are @extents; the driver keeps it open and
 * marks it S_SWAPFILE until the last hot copy of the origin is gone.
 */
struct hcp_ioc_segment {
	__u32 size;
	__u32 nr_extents;		/* 1..HCP_MAX_EXTENTS */
	__s32 file_fd;
	__s32 bdev_fd;			/* the block device the extents are on */
	__u64 extents;			/* struct hcp_ioc_extent[nr_extents] */
};

#define HCP_CREATE_READ_ONLY	(1 << 0)	/* /dev/hcpN refuses writes */

/* One origin of a hot copy. */
struct hcp_ioc_origin {
	__u32 size;
	__u32 flags;			/* HCP_CREATE_* */
	__s32 bdev_fd;			/* the origin, opened read-only */
	__u32 minor;			/* out: N of /dev/hcpN */
	__u64 segment;			/* struct hcp_ioc_segment; 0: the origin has its store already */
	char path[HCP_PATH_LEN];	/* what the user called the origin; shown by HCP_IOC_NEXT */
	char store_path[HCP_PATH_LEN];	/* what the user calls the place of the store */
};

/*
 * HCP_IOC_CREATE: freeze every filesystem, arm every origin, thaw, as one instant.
 *
 * @freeze_fds are open files of the filesystems to freeze (their mount points, say).
 * A filesystem that somebody froze already is accepted as it is and left frozen.
 * Nothing is left behind when it fails.
 *
 * EBUSY	another module holds the hook, or another origin overlaps the store
 * ENODATA	@segment is 0 and the origin has no store yet
 * EEXIST	@segment is given and the origin has its store already
 * ENOSPC	the segment has no whole unit, or there are HCP_MAX_SNAPSHOTS
 * EOPNOTSUPP	the device or filesystem cannot be frozen or is not supported (zoned...)
 * others	as the freeze returned them
 */
struct hcp_ioc_create {
	__u32 size;
	__u32 abi;			/* HCP_ABI_VERSION of the caller; else EPROTO */
	__u32 nr_origins;		/* 1..HCP_MAX_ORIGINS */
	__u32 nr_freeze;		/* 0..HCP_MAX_FREEZE */
	__u64 origins;			/* struct hcp_ioc_origin[nr_origins], in and out */
	__u64 freeze_fds;		/* __s32[nr_freeze] */
	__u64 frozen_ns;		/* out: from the first filesystem frozen to the last thawed */
	__u64 total_ns;			/* out: the whole call */
	__u32 reserved[4];
	char reason[HCP_REASON_LEN];	/* out, when it fails */
};

/*
 * HCP_IOC_REMOVE: end a hot copy.  EBUSY while its device is open.
 * ENXIO when there is none.
 */
struct hcp_ioc_remove {
	__u32 size;
	__u32 abi;
	__u32 minor;
	__u32 reserved;
	char reason[HCP_REASON_LEN];
};

enum hcp_state {
	HCP_STATE_ACTIVE = 1,
	HCP_STATE_OVERFLOW = 2,		/* the store is full */
	HCP_STATE_FAILED = 3,		/* see @reason */
};

#define HCP_INFO_READ_ONLY	(1 << 0)
#define HCP_INFO_OPEN		(1 << 1)	/* somebody has /dev/hcpN open */

/*
 * HCP_IOC_NEXT: the hot copy with the lowest minor >= @minor; ENXIO past the last.
 * One state for all numbers: they are read together.
 */
struct hcp_ioc_info {
	__u32 size;
	__u32 abi;
	__u32 minor;			/* in: where to start, out: N of /dev/hcpN */
	__u32 flags;			/* out: HCP_INFO_* */
	__u32 state;			/* out: enum hcp_state */
	__u32 dev_major;		/* out: of /dev/hcpN */
	__u32 dev_minor;
	__u32 origin_major;		/* out: of the origin */
	__u32 origin_minor;
	__u32 store_major;		/* out: the device of the store */
	__u32 store_minor;
	__u32 reserved;
	__u64 sequence;			/* out: grows with every hot copy since the module was loaded */
	__u64 created_ns;		/* out: CLOCK_REALTIME at the frozen moment */
	__u64 frozen_ns;		/* out: how long its filesystems were frozen */
	__u64 nr_sectors;		/* out: of the origin, at the frozen moment */
	__u64 preserved_bytes;		/* out: old data of the origin kept by this hot copy */
	__u64 private_bytes;		/* out: written to /dev/hcpN */
	__u64 store_bytes;		/* out: size of the origin's store, shared by its hot copies */
	__u64 store_used_bytes;		/* out: of these, in use */
	__u64 store_ino;		/* out: inode number of the store's file */
	__u64 in_flight_bytes;		/* out: copies of the origin in memory now */
	char path[HCP_PATH_LEN];
	char store_path[HCP_PATH_LEN];
	char reason[HCP_REASON_LEN];	/* out: why, unless HCP_STATE_ACTIVE */
};

#define HCP_IOC_MAGIC		0xA7
#define HCP_IOC_VERSION		_IOWR(HCP_IOC_MAGIC, 0, struct hcp_ioc_version)
#define HCP_IOC_CREATE		_IOWR(HCP_IOC_MAGIC, 1, struct hcp_ioc_create)
#define HCP_IOC_REMOVE		_IOWR(HCP_IOC_MAGIC, 2, struct hcp_ioc_remove)
#define HCP_IOC_NEXT		_IOWR(HCP_IOC_MAGIC, 3, struct hcp_ioc_info)

#endif /* HCP_IOCTL_H */
