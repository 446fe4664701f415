"""Guests that run their tests in the background, several kernels at a time, while the host runs others."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from tests.driver.bench.bench import Bench
from tests.driver.bench.progress import say
from tests.driver.bench.session import GuestTest, Result, run_tests

GUEST_MIB = 1536  # of the host's memory, at most: its own and what QEMU adds


def at_once() -> int:
    """How many guests: as many as cores, since other tests run beside them; no more than the memory holds."""
    mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return max(1, min(os.cpu_count() or 1, mib // GUEST_MIB - 1))


class Runs:
    """The guests in the background, and a future for the result of each test; then other tests, each with a guest of its own.

    ``others`` are functions of a bench, by the name that ended() is asked with.
    """

    def __init__(
        self, bench: Bench, wanted: list[tuple[str, GuestTest]], others: Mapping[str, Callable[[Bench], object]]
    ) -> None:
        self._bench = bench
        self._futures: dict[tuple[str, str], Future[Result]] = {}
        tests: dict[str, list[GuestTest]] = {}
        for kernel, test in wanted:
            self._futures[kernel, test.name] = Future()
            tests.setdefault(kernel, []).append(test)
        self._pool = ThreadPoolExecutor(at_once())
        # The newest first: they take longest, and none should be left running alone at the end.
        for kernel in reversed(tests):
            self._pool.submit(self._run, kernel, tests[kernel])
        # Short ones: they fill the workers' last minutes.
        self._others = {name: self._pool.submit(self._timed, task) for name, task in others.items()}

    def _timed(self, task: Callable[[Bench], object]) -> float:
        begin = time.monotonic()
        task(self._bench)
        return time.monotonic() - begin

    def _run(self, kernel: str, tests: list[GuestTest]) -> None:
        say(f"{kernel}: {len(tests)} tests")
        try:
            run_tests(self._bench, kernel, tests, self._report)
        except Exception as error:
            say(f"{kernel}: {error!r}"[:2000])  # at once: its tests are reported last of all
            for test in tests:
                future = self._futures[kernel, test.name]
                if not future.done():
                    future.set_exception(error)
        say(f"{kernel}: all tests have ended")

    def _report(self, result: Result) -> None:
        future = self._futures.get((result.kernel, result.test))
        if future and not future.done():
            future.set_result(result)

    def result(self, kernel: str, test: str) -> Result:
        """Wait for the result of one test; the session bounds how long that can take. LookupError: it was not asked for."""
        future = self._futures.get((kernel, test))
        if not future:
            raise LookupError(f"{test} on {kernel} is not part of this run")
        return future.result()

    def ended(self, name: str) -> float:
        """Wait for one of the others: how long it took. What it raised is raised here; KeyError: it was not asked for."""
        return self._others[name].result()

    def close(self) -> None:
        """Kill the guests that nobody waits for any more."""
        self._bench.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
