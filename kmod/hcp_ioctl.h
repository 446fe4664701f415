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
#define HCP_ABI_VERSION		2

#define HCP_UNIT_SHIFT		12
#define HCP_UNIT_SIZE		(1 << HCP_UNIT_SHIFT)	/* bytes copied as one */

#define HCP_REASON_LEN		160
#define HCP_PATH_LEN		256
#define HCP_VERSION_LEN		32

#define HCP_MAX_ORIGINS		16	/* origins of one HCP_IOC_CREATE */
#define HCP_MAX_FREEZE		64	/* filesystems frozen by one HCP_IOC_CREATE */
#define HCP_MAX_EXTENTS		65536	/* extents of one store segment */
#define HCP_MAX_SNAPSHOTS	255	/* hot copies at one time */
#define HCP_MAX_SEGMENTS	64	/* of one store */
#define HCP_MAX_FREE		(1 << 20)	/* ranges of one HCP_IOC_FREE */

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
 * marks it S_SWAPFILE until the last hot copy of the origin is gone.  Or both are one
 * block device, opened O_RDWR | O_EXCL: it is the store's alone.
 *
 * Where the segment lies on a device that has hot copies, only those of its blocks are
 * used that none of them needs (any more): they were free, or have been preserved.
 */
struct hcp_ioc_segment {
	__u32 size;
	__u32 nr_extents;		/* 1..HCP_MAX_EXTENTS */
	__s32 file_fd;
	__s32 bdev_fd;			/* the block device the extents are on */
	__u64 extents;			/* struct hcp_ioc_extent[nr_extents] */
};

#define HCP_CREATE_READ_ONLY	(1 << 0)	/* /dev/hcpN refuses writes */
#define HCP_CREATE_FIXED_STORE	(1 << 1)	/* with @segment: the store never asks to grow */
#define HCP_CREATE_UNCOUNTED	(1 << 2)	/* nobody can wait for all writes to it */

/* One origin of a hot copy. */
struct hcp_ioc_origin {
	__u32 size;
	__u32 flags;			/* HCP_CREATE_* */
	__s32 bdev_fd;			/* the origin, opened read-only */
	__u32 minor;			/* out: N of /dev/hcpN */
	__u32 floor_percent;		/* 0..99, for the keeper; HCP_IOC_NEXT tells it back */
	__u32 reserved;
	__u64 segment;			/* struct hcp_ioc_segment; 0: the origin has a store */
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
 * EOPNOTSUPP	the device or filesystem cannot be frozen or is not supported (zoned...),
 *		or hot copies do harm on this kernel
 * EAGAIN	a device without filesystems did not end its writes in 10 seconds, a
 *		process does not get on with writing to any device, or a filesystem was
 *		thawed, or is being unmounted or remounted, by somebody
 * ENOMEM	there is no memory for it (no reason is given)
 * others	as the freeze returned them
 */
struct hcp_ioc_create {
	__u32 size;
	__u32 abi;			/* HCP_ABI_VERSION of the caller; else EPROTO */
	__u32 nr_origins;		/* 1..HCP_MAX_ORIGINS */
	__u32 nr_freeze;		/* 0..HCP_MAX_FREEZE */
	__u64 origins;			/* struct hcp_ioc_origin[nr_origins], in and out */
	__u64 freeze_fds;		/* __s32[nr_freeze] */
	__u64 frozen_ns;		/* out: from the first one frozen to the last thawed */
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
#define HCP_INFO_FREE_KNOWN	(1 << 2)	/* HCP_IOC_FREE was done */
#define HCP_INFO_WANTS_SPACE	(1 << 3)	/* the store should grow: HCP_IOC_GROW */
#define HCP_INFO_FIXED_STORE	(1 << 4)	/* HCP_CREATE_FIXED_STORE */
#define HCP_INFO_CHANGED_LOST	(1 << 5)	/* HCP_IOC_CHANGED cannot tell, memory was short */

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
	__u32 floor_percent;
	__u64 sequence;			/* out: grows with every hot copy of a loaded module */
	__u64 created_ns;		/* out: CLOCK_REALTIME at the frozen moment */
	__u64 frozen_ns;		/* out: how long its filesystems were frozen */
	__u64 nr_sectors;		/* out: of the origin, at the frozen moment */
	__u64 preserved_bytes;		/* out: old data of the origin kept by this hot copy */
	__u64 private_bytes;		/* out: written to /dev/hcpN */
	__u64 store_bytes;		/* out: size of the store, which its hot copies share */
	__u64 store_used_bytes;		/* out: of these, in use */
	__u64 free_bytes;		/* out: free at the frozen moment, never copied */
	__u64 growths;			/* out: HCP_IOC_GROW done for the store */
	__u64 in_flight_bytes;		/* out: copies of the origin in memory now */
	char path[HCP_PATH_LEN];
	char store_path[HCP_PATH_LEN];
	char reason[HCP_REASON_LEN];	/* out: why, unless HCP_STATE_ACTIVE */
};

/*
 * HCP_IOC_STORE: segment number @index of the store of hot copy @minor.
 * ENXIO: no such hot copy, or no such segment.
 */
struct hcp_ioc_store {
	__u32 size;
	__u32 abi;
	__u32 minor;
	__u32 index;			/* 0.. */
	__u32 dev_major;		/* out: the device of the segment */
	__u32 dev_minor;
	__u64 ino;			/* out: inode number of its file, 0: a block device */
	__u64 bytes;			/* out: usable */
	__u64 used_bytes;		/* out */
};

/*
 * HCP_IOC_FREE: which sectors of hot copy @minor were free at the frozen moment.  They
 * are not copied from now on, and whole units of them read as zeros.  Once only, and
 * before anything was written to /dev/hcpN.  A range that is named in error is lost.
 *
 * EINVAL	not sorted, overlapping, empty, or outside the device
 * EEXIST	it was done before
 * E2BIG	more than HCP_MAX_FREE ranges: leave the shortest out
 * ENXIO	no such hot copy
 */
struct hcp_ioc_free {
	__u32 size;
	__u32 abi;
	__u32 minor;
	__u32 nr;
	__u64 ranges;			/* struct hcp_ioc_extent[nr], by sector */
	char reason[HCP_REASON_LEN];	/* out, when it fails */
};

/*
 * HCP_IOC_GROW: one more segment for the store of hot copy @minor.
 *
 * ENOSPC	none of its blocks can be used (see struct hcp_ioc_segment), or there are
 *		HCP_MAX_SEGMENTS; the segment is not taken
 * ENXIO	no such hot copy
 * others	as HCP_IOC_CREATE
 */
struct hcp_ioc_grow {
	__u32 size;
	__u32 abi;
	__u32 minor;
	__u32 reserved;
	__u64 segment;			/* struct hcp_ioc_segment */
	__u64 usable_bytes;		/* out */
	char reason[HCP_REASON_LEN];	/* out, when it fails */
};

/*
 * HCP_IOC_END: the hot copies of the origin of @minor stop, they are still listed.
 * ESTALE: that one has ended already.  ENXIO: no such hot copy.
 */
struct hcp_ioc_end {
	__u32 size;
	__u32 abi;
	__u32 minor;
	__u32 state;			/* HCP_STATE_OVERFLOW or HCP_STATE_FAILED */
	char reason[HCP_REASON_LEN];	/* in: why, one line */
};

#define HCP_WAIT_KEEPER		(1 << 0)	/* this descriptor's owner lets stores grow */

/*
 * HCP_IOC_WAIT: returns when something has happened since @seen (a hot copy came, went
 * or ended; a store wants space), or after @timeout_ms.  The first call with
 * HCP_WAIT_KEEPER makes the descriptor the keeper's until it is closed: while there is
 * one, a full store waits for it: 10 seconds, one when memory for copies is used up.
 * EBUSY: there is a keeper.  EINTR.
 */
struct hcp_ioc_wait {
	__u32 size;
	__u32 abi;
	__u32 flags;			/* HCP_WAIT_* */
	__u32 timeout_ms;		/* 0: only tell */
	__u64 seen;			/* in: 0 or as told; out: now */
	__u32 nr_hot_copies;		/* out */
	__u32 nr_keepers;		/* out: 0 or 1 */
};

/*
 * HCP_IOC_CHANGED: what was written to the origin since hot copy @minor was made, and
 * before hot copy @until (0: until now), as sorted extents of whole units.  Repeat until
 * @next is not below @nr_sectors.
 *
 * EINVAL	@until is not a newer hot copy of the same origin
 * ENODATA	it is not known, memory was short at some time
 * ENXIO	no such hot copy
 */
struct hcp_ioc_changed {
	__u32 size;
	__u32 abi;
	__u32 minor;
	__u32 until;
	__u64 next;			/* in: sector to start at; out: where to go on */
	__u64 nr_sectors;		/* out: of the hot copy */
	__u64 extents;			/* struct hcp_ioc_extent[room], out */
	__u32 room;			/* 1..HCP_MAX_EXTENTS */
	__u32 nr;			/* out: how many were filled in */
	char reason[HCP_REASON_LEN];	/* out, when it fails */
};

#define HCP_IOC_MAGIC		0xA7
#define HCP_IOC_VERSION		_IOWR(HCP_IOC_MAGIC, 0, struct hcp_ioc_version)
#define HCP_IOC_CREATE		_IOWR(HCP_IOC_MAGIC, 1, struct hcp_ioc_create)
#define HCP_IOC_REMOVE		_IOWR(HCP_IOC_MAGIC, 2, struct hcp_ioc_remove)
#define HCP_IOC_NEXT		_IOWR(HCP_IOC_MAGIC, 3, struct hcp_ioc_info)
#define HCP_IOC_STORE		_IOWR(HCP_IOC_MAGIC, 4, struct hcp_ioc_store)
#define HCP_IOC_FREE		_IOWR(HCP_IOC_MAGIC, 5, struct hcp_ioc_free)
#define HCP_IOC_GROW		_IOWR(HCP_IOC_MAGIC, 6, struct hcp_ioc_grow)
#define HCP_IOC_END		_IOWR(HCP_IOC_MAGIC, 7, struct hcp_ioc_end)
#define HCP_IOC_WAIT		_IOWR(HCP_IOC_MAGIC, 8, struct hcp_ioc_wait)
#define HCP_IOC_CHANGED		_IOWR(HCP_IOC_MAGIC, 9, struct hcp_ioc_changed)

#endif /* HCP_IOCTL_H */
