# SPDX-License-Identifier: GPL-2.0-or-later
"""Hot copies that are gone when a with block ends."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
from collections.abc import Iterator

from hotcopy.driver import Driver, HotCopy, Origin
from hotcopy.errors import DriverError
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.hcp import call, hcp

CREATED = re.compile(r"^Hot Copy created at: (/dev/hcp\d+)$", re.MULTILINE)


def unload_driver() -> None:
    """No driver is loaded afterwards."""
    # A keeper that hcp has just started needs a moment to see that there is nothing to keep.
    assert eventually(lambda: not subprocess.call(("sh", "-c", "! [ -e /sys/module/hcpdriver ] || rmmod hcpdriver")))


def load_driver(*parameters: str) -> None:
    """The driver anew, with these parameters."""
    unload_driver()
    run("modprobe", "hcpdriver", *parameters)


def attempt(*words: str) -> tuple[int, str]:
    """The hcp command's status, and all that it says."""
    done = call(*words)
    return done.status, done.out + done.err


def take_as_users_do(origin: str, *words: str) -> str:
    """A new hot copy of a device, of what was not free on it: its node."""
    text = hcp(*words, origin)
    match = CREATED.search(text)
    assert match, text
    return match[1]


def take(origin: str, *words: str) -> str:
    """A new hot copy of all of a device, byte for byte: its node. Not mounted unless the words ask for it."""
    return take_as_users_do(origin, "--all-blocks", *(words or ("--skip-mount",)))


def take_bare(origin: str, *words: str) -> str:
    """A new hot copy with further options, not mounted."""
    return take(origin, "--skip-mount", *words)


def remove(node: str) -> None:
    """End a hot copy."""
    hcp("-r", node)
    assert not os.path.exists(f"/sys/block/{os.path.basename(node)}")


def take_from_driver(origin: str, mounted_on: str) -> str:
    """A further hot copy, which shares the store, straight from the driver: quicker where there are many."""
    fds = [os.open(path, os.O_RDONLY) for path in (origin, mounted_on)]
    try:
        with Driver() as driver:
            made = driver.create([Origin(fds[0], origin, mounted_on, False, None)], [fds[1]])
    finally:
        for fd in fds:
            os.close(fd)
    return f"/dev/hcp{made.minors[0]}"


def remove_from_driver(node: str) -> None:
    """End a hot copy without hcp, as soon as udev has looked at it."""
    assert eventually(lambda: _is_ended(node)), node


def _is_ended(node: str) -> bool:
    try:
        with Driver() as driver:
            driver.remove(int(node[len("/dev/hcp") :]))
    except DriverError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def copies() -> tuple[HotCopy, ...]:
    """Every hot copy, as the driver knows them; none when it is not loaded."""
    try:
        with Driver() as driver:
            return driver.hot_copies()
    except FileNotFoundError:
        return ()


def info(node: str) -> HotCopy:
    """What the driver says of one hot copy."""
    for copy in copies():
        if copy.node == node:
            return copy
    raise AssertionError(f"there is no {node}, only {copies()}")


def is_stored(node: str) -> bool:
    """Nothing of its origin is on its way to the store."""
    return not info(node).in_flight_bytes


def remove_all() -> None:
    """End every hot copy, the newest first."""
    for copy in reversed(copies()):
        remove(copy.node)


@contextlib.contextmanager
def hot_copy(origin: str, *words: str) -> Iterator[str]:
    """A hot copy for the time of a with block."""
    node = take_bare(origin, *words)
    try:
        yield node
    finally:
        if any(copy.node == node for copy in copies()):
            remove(node)
