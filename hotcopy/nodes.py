# SPDX-License-Identifier: GPL-2.0-or-later
"""/dev/hcpN as a file: devtmpfs makes it at once, udev may take a moment, a static /dev never does."""

from __future__ import annotations

import os
import stat
import time

from hotcopy import context
from hotcopy.devid import DevId
from hotcopy.errors import HcpError

_PATIENCE = 10.0  # seconds
_MAKE_AFTER = 1.0  # seconds without anybody making the node


def _is(node: str, dev: DevId) -> bool:
    try:
        status = os.stat(node)
    except OSError:
        return False
    return stat.S_ISBLK(status.st_mode) and DevId.of(status.st_rdev) == dev


def appear(node: str, dev: DevId) -> None:
    """Returns when ``node`` is the block device ``dev``; makes it itself when nobody does. HcpError."""
    start = time.monotonic()
    while not _is(node, dev):
        waited = time.monotonic() - start
        if waited > _MAKE_AFTER:
            try:
                if os.path.lexists(node):
                    os.unlink(node)  # left from another boot in a static /dev
                os.mknod(node, stat.S_IFBLK | 0o600, dev.dev)
                continue
            except OSError as error:
                if waited > _PATIENCE:
                    raise HcpError(f"{node} does not appear: {error.strerror}", "check /dev and udev") from error
        time.sleep(0.01)


def vanish(node: str, dev: DevId) -> None:
    """Removes a node that outlived its device (a static /dev); devtmpfs removes its own."""
    if _is(node, dev) and not os.path.exists(f"/sys/dev/block/{dev}"):
        with context.suppress(OSError):  # gone by itself meanwhile
            os.unlink(node)
