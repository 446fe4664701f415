# SPDX-License-Identifier: GPL-2.0-or-later
"""The layouts of kmod/hcp_ioctl.h, restated for Python; that header is the truth and says what each field means.

tests/unit/test_abi.py compiles the header and compares every size, offset and constant with these.
"""

from __future__ import annotations

import ctypes

CONTROL_NAME = "hcp"
ABI_VERSION = 2

UNIT_SIZE = 4096  # bytes
SECTOR_SIZE = 512  # bytes, the unit of every sector number of the interface

REASON_LEN = 160
PATH_LEN = 256
VERSION_LEN = 32

MAX_ORIGINS = 16
MAX_FREEZE = 64
MAX_EXTENTS = 65536
MAX_SNAPSHOTS = 255
MAX_SEGMENTS = 64
MAX_FREE = 1 << 20

CREATE_READ_ONLY = 1 << 0
CREATE_FIXED_STORE = 1 << 1
CREATE_UNCOUNTED = 1 << 2
INFO_READ_ONLY = 1 << 0
INFO_OPEN = 1 << 1
INFO_FREE_KNOWN = 1 << 2
INFO_WANTS_SPACE = 1 << 3
INFO_FIXED_STORE = 1 << 4
INFO_CHANGED_LOST = 1 << 5
WAIT_KEEPER = 1 << 0


class State:
    """enum hcp_state."""

    ACTIVE = 1
    OVERFLOW = 2
    FAILED = 3


class IocVersion(ctypes.Structure):
    """struct hcp_ioc_version."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("version", ctypes.c_char * VERSION_LEN),
    ]


class IocExtent(ctypes.Structure):
    """struct hcp_ioc_extent."""

    _fields_ = [
        ("sector", ctypes.c_uint64),
        ("nr_sectors", ctypes.c_uint64),
    ]


class IocSegment(ctypes.Structure):
    """struct hcp_ioc_segment."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("nr_extents", ctypes.c_uint32),
        ("file_fd", ctypes.c_int32),
        ("bdev_fd", ctypes.c_int32),
        ("extents", ctypes.c_uint64),
    ]


class IocOrigin(ctypes.Structure):
    """struct hcp_ioc_origin."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("bdev_fd", ctypes.c_int32),
        ("minor", ctypes.c_uint32),
        ("floor_percent", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("segment", ctypes.c_uint64),
        ("path", ctypes.c_char * PATH_LEN),
        ("store_path", ctypes.c_char * PATH_LEN),
    ]


class IocCreate(ctypes.Structure):
    """struct hcp_ioc_create."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("nr_origins", ctypes.c_uint32),
        ("nr_freeze", ctypes.c_uint32),
        ("origins", ctypes.c_uint64),
        ("freeze_fds", ctypes.c_uint64),
        ("frozen_ns", ctypes.c_uint64),
        ("total_ns", ctypes.c_uint64),
        ("reserved", ctypes.c_uint32 * 4),
        ("reason", ctypes.c_char * REASON_LEN),
    ]


class IocRemove(ctypes.Structure):
    """struct hcp_ioc_remove."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("reason", ctypes.c_char * REASON_LEN),
    ]


class IocInfo(ctypes.Structure):
    """struct hcp_ioc_info."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("state", ctypes.c_uint32),
        ("dev_major", ctypes.c_uint32),
        ("dev_minor", ctypes.c_uint32),
        ("origin_major", ctypes.c_uint32),
        ("origin_minor", ctypes.c_uint32),
        ("store_major", ctypes.c_uint32),
        ("store_minor", ctypes.c_uint32),
        ("floor_percent", ctypes.c_uint32),
        ("sequence", ctypes.c_uint64),
        ("created_ns", ctypes.c_uint64),
        ("frozen_ns", ctypes.c_uint64),
        ("nr_sectors", ctypes.c_uint64),
        ("preserved_bytes", ctypes.c_uint64),
        ("private_bytes", ctypes.c_uint64),
        ("store_bytes", ctypes.c_uint64),
        ("store_used_bytes", ctypes.c_uint64),
        ("free_bytes", ctypes.c_uint64),
        ("growths", ctypes.c_uint64),
        ("in_flight_bytes", ctypes.c_uint64),
        ("path", ctypes.c_char * PATH_LEN),
        ("store_path", ctypes.c_char * PATH_LEN),
        ("reason", ctypes.c_char * REASON_LEN),
    ]


class IocStore(ctypes.Structure):
    """struct hcp_ioc_store."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("index", ctypes.c_uint32),
        ("dev_major", ctypes.c_uint32),
        ("dev_minor", ctypes.c_uint32),
        ("ino", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("used_bytes", ctypes.c_uint64),
    ]


class IocFree(ctypes.Structure):
    """struct hcp_ioc_free."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("nr", ctypes.c_uint32),
        ("ranges", ctypes.c_uint64),
        ("reason", ctypes.c_char * REASON_LEN),
    ]


class IocGrow(ctypes.Structure):
    """struct hcp_ioc_grow."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("segment", ctypes.c_uint64),
        ("usable_bytes", ctypes.c_uint64),
        ("reason", ctypes.c_char * REASON_LEN),
    ]


class IocEnd(ctypes.Structure):
    """struct hcp_ioc_end."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("state", ctypes.c_uint32),
        ("reason", ctypes.c_char * REASON_LEN),
    ]


class IocWait(ctypes.Structure):
    """struct hcp_ioc_wait."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("timeout_ms", ctypes.c_uint32),
        ("seen", ctypes.c_uint64),
        ("nr_hot_copies", ctypes.c_uint32),
        ("nr_keepers", ctypes.c_uint32),
    ]


class IocChanged(ctypes.Structure):
    """struct hcp_ioc_changed."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("until", ctypes.c_uint32),
        ("next", ctypes.c_uint64),
        ("nr_sectors", ctypes.c_uint64),
        ("extents", ctypes.c_uint64),
        ("room", ctypes.c_uint32),
        ("nr", ctypes.c_uint32),
        ("reason", ctypes.c_char * REASON_LEN),
    ]


def _iowr(number: int, layout: type[ctypes.Structure]) -> int:
    # asm-generic/ioctl.h, as x86, arm, riscv and s390 use it: direction 3, size, type, number.
    return 3 << 30 | ctypes.sizeof(layout) << 16 | 0xA7 << 8 | number


IOC_VERSION = _iowr(0, IocVersion)
IOC_CREATE = _iowr(1, IocCreate)
IOC_REMOVE = _iowr(2, IocRemove)
IOC_NEXT = _iowr(3, IocInfo)
IOC_STORE = _iowr(4, IocStore)
IOC_FREE = _iowr(5, IocFree)
IOC_GROW = _iowr(6, IocGrow)
IOC_END = _iowr(7, IocEnd)
IOC_WAIT = _iowr(8, IocWait)
IOC_CHANGED = _iowr(9, IocChanged)
