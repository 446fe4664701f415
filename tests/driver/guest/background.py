# SPDX-License-Identifier: GPL-2.0-or-later
"""Work that goes on in another process while a test does something else."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import traceback
from collections.abc import Iterator
from typing import Callable

from tests.driver.guest.commands import eventually
from tests.driver.guest.pace import SLOW

_FORK = multiprocessing.get_context("fork")
PATIENCE = 60.0  # seconds for a worker to do what is asked of it


class Beat:
    """``while beat(): ...`` in the worker; the test counts the rounds and ends them."""

    def __init__(self) -> None:
        self._stop = _FORK.Event()
        self._rounds = _FORK.Value("Q", 0)

    def __call__(self) -> bool:
        """Another round begins, unless it was the last."""
        self._rounds.value += 1
        return not self._stop.is_set()

    @property
    def rounds(self) -> int:
        """How many rounds have begun."""
        return int(self._rounds.value)

    def stop(self) -> None:
        """No further round."""
        self._stop.set()


class Worker:
    """A process that runs a task, and must end well."""

    def __init__(self, task: Callable[[Beat], None]) -> None:
        self.beat = Beat()
        self._task = task
        self._complaint = os.memfd_create("complaint")
        self._process = _FORK.Process(target=self._run)
        self._process.start()

    def _run(self) -> None:
        try:
            self._task(self.beat)
        except BaseException:
            os.write(self._complaint, traceback.format_exc().encode())
            os._exit(1)

    def _trouble(self, what: str) -> str:
        return f"{what}\n{os.pread(self._complaint, 1 << 20, 0).decode()}"

    def wait_rounds(self, more: int, patience: float = PATIENCE) -> None:
        """Until so many rounds more have been ended."""
        goal = self.beat.rounds + more
        done = eventually(lambda: self.beat.rounds > goal or not self._process.is_alive(), patience)
        assert self._process.is_alive(), self._trouble("the worker ended early")
        assert done, f"the worker hangs in round {self.beat.rounds}, {goal} were wanted"

    def finish(self) -> None:
        """Tell it to stop, and fail if it failed."""
        self.beat.stop()
        self._process.join(SLOW * PATIENCE)
        status = self._process.exitcode
        self.kill()
        assert status == 0, self._trouble(f"the worker ended with {status}")

    def kill(self) -> None:
        """At once, whatever it does."""
        if self._process.is_alive():
            self._process.kill()
            self._process.join(SLOW * PATIENCE)


@contextlib.contextmanager
def background(*tasks: Callable[[Beat], None]) -> Iterator[tuple[Worker, ...]]:
    """Every task in a process of its own until the with block ends; an error in one is an error of the block."""
    workers = tuple(Worker(task) for task in tasks)
    try:
        for worker in workers:
            worker.wait_rounds(1)
        yield workers
        for worker in workers:
            worker.beat.stop()
        for worker in workers:
            worker.finish()
    finally:
        for worker in workers:
            worker.kill()


@contextlib.contextmanager
def under_way(*tasks: Callable[[], None]) -> Iterator[None]:
    """Tasks that may get stuck for a while, each in a process of its own; in the end they must have ended well."""
    processes = [_FORK.Process(target=task) for task in tasks]
    for process in processes:
        process.start()
    yield
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0] * len(tasks)


def succeeds(task: Callable[[], object], patience: float) -> bool:
    """Whether a task ends well, in a process of its own that may get stuck."""
    process = _FORK.Process(target=task)
    process.start()
    process.join(SLOW * patience)
    if process.exitcode is None:
        process.kill()
    return process.exitcode == 0
