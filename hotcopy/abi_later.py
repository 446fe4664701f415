# SPDX-License-Identifier: GPL-2.0-or-later
"""What abi.py leaves out: the layouts of the calls about hot copies that exist (their end, their stores, what changed)."""

from __future__ import annotations

import ctypes

from hotcopy.abi import REASON_LEN, iowr


class IocRemove(ctypes.Structure):
    """struct hcp_ioc_remove."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
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


IOC_REMOVE = iowr(2, IocRemove)
IOC_STORE = iowr(4, IocStore)
IOC_GROW = iowr(6, IocGrow)
IOC_END = iowr(7, IocEnd)
IOC_CHANGED = iowr(9, IocChanged)
