# SPDX-License-Identifier: GPL-2.0-or-later
"""hcp is killed or told to stop at any moment: a hot copy is there or it is not, and nothing stays frozen or lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from hotcopy.driver import Driver
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.hcp import Running, hcp
from tests.driver.guest.hotcopies import remove_all
from tests.driver.guest.origins import Origin, hot_copies, mounts


@pytest.mark.one_kernel
def test_leftovers_are_cleaned(origin: Origin) -> None:
    free = origin.free()
    directory = origin.path / ".hotcopy"
    directory.mkdir()
    (directory / "store-000000000000").touch()
    run("fallocate", "-n", "-l", "16M", str(directory / "store-000000000000"))
    hcp("--skip-mount", origin.node)
    assert len(origin.store_names()) == 1
    assert origin.store_names() != ["store-000000000000"]
    hcp("-r", "hcp1")
    assert origin.store_names() == []
    assert eventually(lambda: origin.free() == free)


def settled(origin: Origin, free: int) -> None:
    """After a killed hcp: the origin works, and one ordinary hcp and its removal bring everything back."""
    assert origin.is_writable()
    remove_all()
    hcp("--skip-mount", origin.node)
    assert len(origin.store_names()) == 1
    remove_all()
    assert origin.store_names() == []
    assert eventually(lambda: origin.free() == free), (origin.free(), free)


def moments(origin: Origin, rounds: int, seed: int) -> Iterator[float]:
    """Seconds from the start of hcp: one moment somewhere in each of so many equal parts of its life."""
    whole = duration(origin)
    source = random.Random(seed)
    for number in range(rounds):
        yield whole * (number + source.random()) / rounds


def duration(origin: Origin) -> float:
    """Seconds that an undisturbed hcp takes."""
    begin = time.monotonic()
    hcp(origin.node)
    taken = time.monotonic() - begin
    remove_all()
    return taken


@pytest.mark.kernel_independent
@pytest.mark.timeout(600)
def test_sigkill_at_any_moment(origin: Origin) -> None:
    duration(origin)  # the driver is loaded
    free = origin.free()
    for moment in moments(origin, 7, seed=1):
        command = Running(origin.node)
        time.sleep(moment)
        command.kill()
        command.wait(30)
        assert origin.is_writable()
        for copy in hot_copies():
            assert copy["state"] == "active"
            assert copy["origin"] == origin.node
        remove_all()
    settled(origin, free)
    assert "/dev/hcp" not in mounts()


@pytest.mark.one_kernel
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signals_leave_all_or_nothing(ext4: Origin, name: str) -> None:
    number = signal.Signals[name]
    duration(ext4)  # the driver is loaded
    free = ext4.free()
    for moment in moments(ext4, 4, seed=number):
        command = Running(ext4.node)
        time.sleep(moment)
        command.signal(number)
        done = command.wait(60)
        assert ext4.is_writable()
        copies = hot_copies()
        if done.status == 0:
            assert len(copies) == 1
            assert copies[0]["mount_points"]
            hcp("-r", "hcp1")
        else:
            assert copies == []
            assert ext4.store_names() == []
            # Before hcp is up, python3 itself ends as it likes.
            starting = done.status == -number or "KeyboardInterrupt" in done.err
            assert starting or done.err.startswith("hcp: error: "), done
    settled(ext4, free)


@pytest.mark.one_kernel
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signals_come_too_late(ext4: Origin, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last step and the end of hcp: the hot copy is there, and the status says so."""
    close, here = Driver.close, os.getpid()

    def close_when_told(driver: Driver) -> None:
        if os.getppid() == here:  # hcp, which closes it last; not the keeper
            os.kill(os.getpid(), signal.Signals[name])
        close(driver)

    monkeypatch.setattr(Driver, "close", close_when_told)
    hcp(ext4.node)
    monkeypatch.undo()
    (copy,) = hot_copies()
    assert copy["mount_points"]


@pytest.mark.one_kernel
def test_the_installed_command_ends_in_order(ext4: Origin) -> None:
    """Told to stop when it has begun: python3 is up by then, so that what it says is its own."""
    duration(ext4)  # the driver is loaded
    free = ext4.free()
    with subprocess.Popen(["hcp", ext4.node], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "Starting Hot Copy" not in process.stdout.readline():
            assert process.poll() is None
        process.terminate()
        _, complaint = process.communicate(timeout=60)
    if process.returncode:
        assert (process.returncode, hot_copies()) == (1, [])
        assert complaint.startswith("hcp: error: stopped by SIGTERM"), complaint
    else:  # it was past the point of no return
        assert len(hot_copies()) == 1
    settled(ext4, free)
