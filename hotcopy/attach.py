# SPDX-License-Identifier: GPL-2.0-or-later
"""Getting at the driver: loading it when it is not loaded, and saying how to install it when that fails."""

from __future__ import annotations

import os
import stat
import time

from hotcopy import __version__
from hotcopy.devid import DevId
from hotcopy.driver import CONTROL_NODE, Driver
from hotcopy.errors import HcpError
from hotcopy.run import run

MODULE = "hcpdriver"
_VERSION_FILE = f"/sys/module/{MODULE}/version"
_CONTROL_NUMBER = "/sys/class/misc/hcp/dev"
_PATIENCE = 5.0  # seconds for udev to make the node


def _make_control_node() -> None:
    # Only a static /dev needs this; the misc class says the number.
    try:
        with open(_CONTROL_NUMBER, encoding="ascii") as file:
            dev = DevId.parse(file.read().strip())
        os.mknod(CONTROL_NODE, stat.S_IFCHR | 0o600, dev.dev)
    except (OSError, ValueError):
        pass  # the caller finds the node missing and says so


def is_loaded() -> bool:
    """Whether the driver is in the kernel."""
    return os.path.exists(f"/sys/module/{MODULE}") or os.path.exists(CONTROL_NODE)


def attached() -> Driver | None:
    """The driver, or None when it is not loaded (then there are no hot copies). HcpError."""
    if not is_loaded():
        return None
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return Driver()
        except FileNotFoundError as error:
            if time.monotonic() > deadline:
                raise HcpError(
                    f"the driver is loaded but {CONTROL_NODE} is missing", f"check /dev, or: modprobe -r {MODULE}"
                ) from error
            time.sleep(0.02)
            _make_control_node()


def _let_go_of_another_version() -> None:
    """Unloads a driver that an upgrade has replaced, unless it is in use: the one installed now is loaded then."""
    try:
        with open(_VERSION_FILE, encoding="utf-8") as file:
            loaded = file.read().strip()
    except OSError:
        return
    if loaded != __version__ and run("modinfo", "-F", "version", MODULE, timeout=30).out.strip() == __version__:
        run("modprobe", "-r", MODULE, timeout=60)


def attach() -> Driver:
    """The driver, loaded now if need be. HcpError says how to install it."""
    _let_go_of_another_version()
    driver = attached()
    if driver is not None:
        return driver
    done = run("modprobe", MODULE, timeout=60)
    driver = attached() if done.status == 0 else None
    if driver is None:
        release = os.uname().release
        raise HcpError(
            f"the driver {MODULE} is not loaded and cannot be for kernel {release} ({done.message})",
            "build and load it for this kernel: hcp-setup --get-module",
        )
    return driver


def version() -> str:
    """The driver's version, with a note where hcp's own is another; needs no root. HcpError when there is no driver."""
    driver = _driver_version()
    return driver if driver == __version__ else f"{driver} (hcp is {__version__})"


def _driver_version() -> str:
    try:
        with open(_VERSION_FILE, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        done = run("modinfo", "-F", "version", MODULE, timeout=30)
        if done.status == 0 and done.out:
            return done.out
        raise HcpError(
            f"the driver {MODULE} is neither loaded nor installed for kernel {os.uname().release}",
            "build and load it for this kernel: hcp-setup --get-module",
        ) from None
