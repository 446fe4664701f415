# SPDX-License-Identifier: GPL-2.0-or-later
"""What the system's start and stop ask for: ``python3 -m hotcopy.system {stop-all,clean}`` (packaging/common/*.service).

Not for people: ``hcp -r`` leaves a hot copy alone that somebody uses, whereas a shutdown cannot wait for anybody.
"""

from __future__ import annotations

import os
import sys
import time

from hotcopy import attach, checks, context, holders, lock, mounting, mounts, nodes, output, sessions, store
from hotcopy.devid import DevId
from hotcopy.driver import Driver, HotCopy
from hotcopy.errors import DriverError, HcpError
from hotcopy.light import TYPE_CHECKING
from hotcopy.mounts import Mount
from hotcopy.output import Output
from hotcopy.run import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOCK_PATIENCE = 5.0  # seconds that a shutdown waits for an hcp at work
_BUSY_PATIENCE = 5.0  # seconds that a shutdown waits for whoever uses hot copies, for all of them together
_USAGE = "usage: python3 -m hotcopy.system {stop-all,clean}"


@context.contextmanager
def _lock_if_free() -> Iterator[None]:
    """The lock, or nothing when an hcp hangs: the machine stops all the same."""
    with context.ExitStack() as stack:
        try:
            stack.enter_context(lock.held(patience=_LOCK_PATIENCE))
        except HcpError as error:
            output.complain(f"hcp: {error}")
        yield


def _detach(copy: HotCopy) -> None:
    """Unmounts the hot copy, lazily where it is in use (what is mounted below it goes along)."""
    try:
        mounting.unmount_all(copy.device, copy.node)
    except HcpError as error:
        output.complain(f"hcp: {error}")
        for place in reversed(mounting.mounted_at(copy.device, mounts.read())):
            run("umount", "-l", place)


def _is_ended(driver: Driver, copy: HotCopy) -> bool:
    """Whether the hot copy is gone now; one that is in use may be gone later."""
    try:
        driver.remove(copy.minor)
    except DriverError as error:
        if error.errno_name == "ENXIO":
            return True
        if error.errno_name != "EBUSY":
            output.complain(f"hcp: error: {error}")
        return False
    nodes.vanish(copy.node, copy.device)
    mounting.remove_default(copy.name)
    return True


def _end(driver: Driver, copies: Sequence[HotCopy], out: Output) -> list[HotCopy]:
    """Ends the hot copies in this order, as far as they let us in time; returns those that did not."""
    for copy in copies:
        _detach(copy)
    left = list(copies)
    deadline = time.monotonic() + _BUSY_PATIENCE
    while True:
        for copy in tuple(left):
            if _is_ended(driver, copy):
                left.remove(copy)
                out.line(f"ended {copy.node} (of {copy.path})")
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def stop_all(out: Output) -> int:
    """Ends every hot copy, the newest first. 1 when some are in use for good; nothing depends on them ending."""
    driver = attach.attached()
    if driver is None:
        return 0
    with driver, _lock_if_free():
        copies = sorted(driver.hot_copies(), key=lambda copy: copy.sequence, reverse=True)
        files = {(part.device, part.ino) for copy in copies for part in driver.stores(copy.minor) if part.ino}
        left = _end(driver, copies, out)
        in_use = driver.stores_in_use()
        for where in sorted({device for device, _ in files - in_use}):
            remark = sessions.give_back(where, in_use)
            if remark is not None:
                out.line(remark)
    for copy in left:
        who = holders.of(copy.device) or "something"
        output.complain(
            f"hcp: error: {copy.node} (of {copy.path}) is in use by {who} and was not ended;"
            " its space is given back at the next boot"
        )
    return 1 if left else 0


def filesystems(table: Sequence[Mount]) -> tuple[Mount, ...]:
    """A writable mount of the root of every filesystem on a block device, which is where stores are."""
    found = {}
    for mount in table:
        # Others have no stores, and some of them hang when their server does.
        if mount.dev.major != 0 and mount.dev not in found:
            best = mounts.whole_and_writable(mounts.of_device(table, mount.dev))
            if best is not None:
                found[mount.dev] = best
    return tuple(found.values())


def _clean_one(where: str, in_use: frozenset[tuple[DevId, int]]) -> int:
    root = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return store.clean(root, in_use)
    finally:
        os.close(root)


def clean(out: Output) -> int:
    """Deletes the stores that a crash left on the mounted filesystems; does not load the driver for that."""
    status = 0
    found = [mount for mount in filesystems(mounts.read()) if os.path.lexists(f"{mount.mount_point}/{store.DIRECTORY}")]
    if not found:
        return 0
    with lock.held():
        driver = attach.attached()  # asked under the lock: without a driver every store is nobody's
        copies: tuple[HotCopy, ...] = ()
        in_use: frozenset[tuple[DevId, int]] = frozenset()
        if driver is not None:
            with driver:
                copies = driver.hot_copies()
                in_use = driver.stores_in_use()
        ours = {copy.device for copy in copies}
        # A mounted hot copy shows its origin's store, which belongs to what the origin looked like.
        for place in (mount.mount_point for mount in found if mount.dev not in ours):
            try:
                number = _clean_one(place, in_use)
            except OSError as error:
                output.complain(f"hcp: error: {place}: {error.strerror}; the next hcp there tries again")
                status = 1
                continue
            if number:
                out.line(f"deleted {number} leftover store{'s' if number > 1 else ''} on {place}")
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one of the two; never raises for what can go wrong on a machine."""
    output.secure_descriptors()
    words = list(sys.argv[1:] if argv is None else argv)
    actions = {"stop-all": stop_all, "clean": clean}
    if len(words) != 1 or words[0] not in actions:
        output.complain(_USAGE)
        return 2
    try:
        checks.need_root()
        return actions[words[0]](Output())
    except (HcpError, OSError) as error:
        output.complain(f"hcp: error: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
