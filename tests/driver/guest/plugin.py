"""pytest in the guest: every result is sent as it is known, the kernel is checked after every test.

Markers: kernel_log(allow=REGEX) for lines a test provokes, timeout(SECONDS), quick, kernel_independent, two_kernels, one_kernel.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.driver.guest.channel import PORT, send
from tests.driver.guest.kernel_log import bad_lines, unexpected_taint
from tests.driver.guest.pace import SLOW

TIMEOUT = 300.0  # seconds for one test, unless its marker says otherwise: machines are at times three times slower
LOGGED = 40  # of the kernel's last messages, shown with a failure


class KernelLog:
    """Reads what the kernel logged since the last reading."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._fd, 0, os.SEEK_END)

    def read(self) -> list[str]:
        """The new messages, one a line."""
        lines: list[str] = []
        while True:
            try:
                record = os.read(self._fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return lines
            except BrokenPipeError:  # overwritten before we read it
                lines.append("bench: kernel messages were lost")
                continue
            lines.append(record.split("\n", 1)[0].partition(";")[2])

    def bad(self, allow: Iterable[str] = ()) -> list[str]:
        """The new messages that tell of trouble, less those that an allowed pattern fits."""
        return list(bad_lines(self.read(), allow))


class Reporter:
    """Sends start and outcome of each test to the host."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.outcome = "passed"
        self.detail = ""
        self._kernel = KernelLog()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins: when the kernel dies now, the host knows in which."""
        self._kernel.read()
        self.seconds, self.outcome, self.detail = 0.0, "passed", ""
        send("start", test=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase has ended; the last one completes the result."""
        self.seconds += report.duration
        if report.outcome != "passed" and self.outcome != "failed":
            self.outcome = report.outcome
        if report.outcome != "passed":
            self.detail += f"{report.when}: {report.longrepr}\n"
            self.detail += "".join(f"-- {title}\n{text}\n" for title, text in report.sections)
            self.detail += "\n".join(["-- kernel log", *self._kernel.read()[-LOGGED:], ""])
        if report.when == "teardown":
            send(
                "result",
                test=report.nodeid,
                outcome=self.outcome,
                seconds=round(self.seconds, 3),
                detail=self.detail[-20000:],
            )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported is a failure with a reason."""
        if report.failed:
            send("collect-error", test=report.nodeid, detail=str(report.longrepr)[-20000:])


def pytest_addoption(parser: Any) -> None:
    """The host lists the tests without a guest."""
    parser.addoption("--bench-list", help="write node ids and markers to this file, run nothing")


def pytest_configure(config: Any) -> None:
    """Register the markers, and the reporter when there is a port to report to."""
    config.addinivalue_line("markers", "kernel_log(allow): kernel messages this test provokes")
    config.addinivalue_line("markers", "timeout(seconds): longer than the default for one test")
    config.addinivalue_line("markers", "quick: part of make test-quick")
    config.addinivalue_line("markers", "kernel_independent: the oldest and the newest kernel say enough")
    config.addinivalue_line(
        "markers", "two_kernels: one of the older and one of the newer say enough, by the test's name"
    )
    config.addinivalue_line("markers", "one_kernel: any kernel says enough; which one follows from the test's name")
    config.addinivalue_line("markers", "scsi_debug: of the core, needs that module, which not every kernel has")
    if config.getoption("--bench-list") is None and os.path.exists(PORT):
        config.pluginmanager.register(Reporter(), "bench-reporter")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the listing the host asked for."""
    target = session.config.getoption("--bench-list")
    if target:
        rows = [
            {
                "test": item.nodeid,
                "marks": sorted({mark.name for mark in item.iter_markers()}),
                "timeout": allowance(item),
            }
            for item in session.items
        ]
        Path(target).write_text(json.dumps(rows), encoding="utf-8")


def allowance(item: Any) -> float:
    """The seconds this test may take."""
    mark = item.get_closest_marker("timeout")
    return SLOW * (float(mark.args[0]) if mark else TIMEOUT)


@pytest.fixture(scope="session")
def kernel_log() -> KernelLog:
    """One reader for the session, which starts at its beginning."""
    return KernelLog()


def _taint() -> int:
    return int(Path("/proc/sys/kernel/tainted").read_text(encoding="ascii"))


@pytest.fixture(autouse=True)
def healthy_kernel(request: pytest.FixtureRequest, kernel_log: KernelLog) -> Iterator[None]:
    """Fail the test during which the kernel complained or was tainted."""
    kernel_log.read()
    before = _taint()
    yield
    marks = request.node.iter_markers("kernel_log")
    bad = kernel_log.bad(mark.kwargs["allow"] for mark in marks)
    assert not bad, "the kernel logged:\n" + "\n".join(bad)
    gained = unexpected_taint(_taint() & ~before)
    assert not gained, f"the kernel is now tainted: {gained}"


@pytest.fixture(autouse=True)
def deadline(request: pytest.FixtureRequest, healthy_kernel: None) -> Iterator[None]:
    """End a test that hangs where a signal can reach it; the host ends the others."""
    seconds = allowance(request.node)

    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"no end after {seconds} s")

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
