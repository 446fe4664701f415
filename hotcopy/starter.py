# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting the keeper, and waiting for its end. What only the keeper needs, only the keeper loads: it takes longest."""

from __future__ import annotations

import errno
import os
import time

from hotcopy import context, daemon
from hotcopy.driver import Driver
from hotcopy.errors import DriverError, HcpError
from hotcopy.light import NamedTuple
from hotcopy.output import complain

_NAME = b"hcp-keeper"
_PATIENCE = 10.0  # seconds: a loaded machine takes its time, and without a keeper a store does not grow
_READY_WITHIN = 1.0  # seconds after the first hot copy
_PAUSE = 0.002  # seconds between looks


class _Started(NamedTuple):
    """A keeper that this process has started; ``pipe`` tells it that this process is there, and is never written to."""

    process: int
    pipe: int

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        try:
            return os.waitpid(self.process, os.WNOHANG)[0] == 0
        except ChildProcessError:
            pass  # waited for before, or our parent has us ignore SIGCHLD
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        return True


_started: list[_Started] = []


def _await_work(driver: Driver, pipe: int) -> bool:
    """Registers, and returns when a store wants space or there is time to get ready for that. False: nothing to keep."""
    waited = driver.wait(0, 0, keeper=True)
    deadline = 0.0
    while True:
        if waited.hot_copies:
            # What comes now would only slow down the hcp that has just made a hot copy, and is still at it.
            deadline = deadline or time.monotonic() + _READY_WITHIN
            if time.monotonic() > deadline or any(copy.wants_space for copy in driver.hot_copies()):
                return True
        elif deadline or daemon.has_ended(pipe):
            return False
        try:
            waited = driver.wait(waited.seen, _READY_WITHIN, keeper=True)
        except DriverError as error:
            if error.errno != errno.EINTR:
                raise


def _keep(pipe: int) -> None:
    """The keeper's life. It registers first: whoever started it waits for that, and for nothing that comes after."""
    daemon.detach(_NAME, keep=pipe)
    with Driver() as asking:
        while True:
            with Driver() as driver:
                if _await_work(driver, pipe):
                    from hotcopy import keeper

                    daemon.settle()
                    keeper.run(driver, pipe)
                    return
            # Whoever asked while we were registered has relied on us: a hot copy may have come since.
            waited = asking.wait(0, 0)
            if not waited.hot_copies or waited.keepers:
                return


def _start() -> None:
    reader, writer = os.pipe2(os.O_CLOEXEC)  # our end is closed when we end, no sooner
    child = os.fork()
    if child == 0:
        with context.suppress(BaseException):
            _keep(reader)
        os._exit(0)
    os.close(reader)
    _started.append(_Started(child, writer))


def begin(driver: Driver) -> None:
    """Starts a keeper unless there is one, and does not wait for it; ensure() says what went wrong."""
    with context.suppress(OSError, HcpError):
        if not driver.wait(0, 0).keepers:
            _start()


def _is_there(driver: Driver) -> bool:
    """Whether there is a keeper, now or as soon as the one that was started has registered. OSError, DriverError."""
    deadline = time.monotonic() + _PATIENCE
    while not driver.wait(0, 0).keepers:
        alive = any(started.is_alive for started in _started)
        if not alive or time.monotonic() > deadline:
            return driver.wait(0, 0).keepers > 0
        time.sleep(_PAUSE)
    return True


def ensure(driver: Driver) -> None:
    """Starts a keeper unless there is one, and returns when it is there.

    Call it before the hot copy is made, so that its store can grow from the first moment on, and again when it exists: in
    between a keeper may have ended with other hot copies.
    A failure is a warning, since the hot copy works until its store is full. Must be called in a process with one thread.
    """
    try:
        if _is_there(driver):
            return
        _start()
        if not _is_there(driver):
            complain("hcp: warning: the keeper did not start, so the space for changed blocks does not grow")
    except (OSError, HcpError) as error:
        complain(
            f"hcp: warning: the keeper could not be started, so the space for changed blocks does not grow: {error}"
        )


def await_end(driver: Driver) -> None:
    """After the removal of the last hot copy: until the keeper has gone (a moment), so that the driver can be unloaded."""
    deadline = time.monotonic() + _PATIENCE
    with context.suppress(HcpError):
        while driver.wait(0, 0).keepers and time.monotonic() < deadline:
            time.sleep(_PAUSE)
