# SPDX-License-Identifier: GPL-2.0-or-later
"""What the keeper decides, with a driver that only remembers what it was told."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, cast, get_type_hints

import pytest

from hotcopy import abi, driver, grow, keeper, mounts, store, worker
from hotcopy.devid import DevId
from hotcopy.driver import Driver, HotCopy
from hotcopy.grow import Outcome
from hotcopy.mounts import Mount
from hotcopy.store import Space
from hotcopy.sysfs import Sysfs

HERE = Mount(DevId(8, 1), "/", "/data", ("rw",), "ext4", "/dev/sda1", ("rw",))
NEED = grow.Need(1, 5, HERE.dev, HERE.mount_point, HERE.fstype)


def hot_copy(minor: int, **changes: Any) -> HotCopy:
    values: dict[str, Any] = {}
    for name, kind in get_type_hints(HotCopy).items():
        values[name] = {int: 0, bool: False, str: ""}.get(kind, DevId(8, 1))
    values.update(minor=minor, state="active", floor_percent=5)
    values.update(changes)
    return HotCopy(**values)


class Fake:
    """The driver."""

    def __init__(self, *copies: HotCopy) -> None:
        self.copies = copies
        self.ended: list[tuple[int, int, str]] = []

    def hot_copies(self) -> tuple[HotCopy, ...]:
        return self.copies

    def end(self, minor: int, state: int, reason: str) -> None:
        self.ended.append((minor, state, reason))


def look(fake: Fake, monkeypatch: pytest.MonkeyPatch, at_floor: int, mount: Mount | None = HERE) -> keeper.Keeper:
    """One step, on a filesystem whose free space is that percentage."""
    kept = keeper.Keeper(cast(Driver, fake))
    monkeypatch.setattr(kept.table, "whole", lambda _dev: mount)
    monkeypatch.setattr(Space, "of", lambda _where, percent: Space(100, 0, at_floor <= percent))
    kept.step()
    return kept


def test_the_floor_ends_every_hot_copy_of_the_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(
        hot_copy(1, floor_percent=3),
        hot_copy(2, floor_percent=7),
        hot_copy(3, origin=DevId(8, 2), floor_percent=3),
        hot_copy(4, origin=DevId(8, 3), state="overflow", floor_percent=50),
    )
    look(fake, monkeypatch, at_floor=7).close()
    assert fake.ended == [(1, abi.State.OVERFLOW, "the free space of /data is at its floor of 7 % (hcp -q)")]


def test_above_the_floor_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(hot_copy(1))
    look(fake, monkeypatch, at_floor=6).close()
    look(fake, monkeypatch, at_floor=1, mount=None).close()
    assert not fake.ended


@pytest.mark.parametrize(
    ("copies", "grows"),
    [
        ([hot_copy(1)], False),
        ([hot_copy(1), hot_copy(2, wants_space=True)], True),
        ([hot_copy(1, wants_space=True, fixed_store=True)], False),
        ([hot_copy(1, wants_space=True, state="overflow")], False),
    ],
)
def test_who_grows(monkeypatch: pytest.MonkeyPatch, copies: list[HotCopy], grows: bool) -> None:
    def job(need: grow.Need) -> Outcome:
        return Outcome.NO_ROOM if need == NEED else Outcome.FAILED

    monkeypatch.setattr(keeper, "Worker", lambda: worker.Worker(job))
    fake = Fake(*copies)
    kept = look(fake, monkeypatch, at_floor=0)
    try:
        assert (kept.period < 1.0) == grows
        assert len(kept.idle) == (0 if grows else 1)  # ahead of need
        if not grows:
            return
        growth = kept.growths[DevId(8, 1)]
        assert growth.worker
        process = growth.worker.process
        deadline = time.monotonic() + 10
        while kept.period < 1.0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            fake.copies = ()
            before = time.monotonic()
            kept.step()
        assert before + 0.5 <= growth.not_before <= time.monotonic() + 0.5
        assert process in [idle.process for idle in kept.idle]
    finally:
        kept.close()


def outcome_of(at_work: worker.Worker) -> Outcome:
    """What becomes of its job."""
    deadline = time.monotonic() + 10
    while (outcome := at_work.outcome()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return outcome


def test_a_worker_that_died() -> None:
    def job(_need: grow.Need) -> Outcome:
        os._exit(3)

    victim = worker.Worker(job)
    assert victim.outcome() is None
    victim.give(NEED)
    assert outcome_of(victim) is Outcome.FAILED
    assert not victim.is_alive
    with pytest.raises(OSError):
        victim.give(NEED)


def test_workers_end_with_the_keeper() -> None:
    one = worker.Worker(lambda _need: Outcome.GROWN)
    for _ in range(3):
        one.give(NEED)
        assert outcome_of(one) is Outcome.GROWN
    one._close_pipes()
    assert os.waitpid(one.process, 0) == (one.process, 0)


def test_a_job_may_be_for_any_place() -> None:
    strange = NEED._replace(mount_point="/a b\n\udcff" + "x" * 4000)
    one = worker.Worker(lambda need: Outcome.GROWN if need == strange else Outcome.FAILED)
    one.give(strange)
    assert outcome_of(one) is Outcome.GROWN
    one.close()


def test_forgets_origins_without_hot_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(hot_copy(1))
    kept = look(fake, monkeypatch, at_floor=0)
    kept.growths[DevId(8, 1)] = keeper._Growth()
    kept.growths[DevId(8, 2)] = keeper._Growth()
    kept.step()
    assert list(kept.growths) == [DevId(8, 1)]
    kept.close()


def test_need_has_the_highest_floor() -> None:
    need = grow.need_of([hot_copy(3, floor_percent=2), hot_copy(4, floor_percent=9)], HERE)
    assert need == NEED._replace(minor=3, floor_percent=9)


def test_mount_table_follows_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    table = keeper._MountTable()
    root = DevId.of(os.stat("/").st_dev)
    here = mounts.whole_and_writable(mounts.of_device(mounts.read(), root))
    assert table.whole(root) == here
    assert table.whole(DevId(4095, 1)) is None


@pytest.mark.parametrize(
    ("fstype", "options", "settled"),
    [
        ("xfs", None, True),
        ("ext4", "rw\nbsddf\ndata=ordered\nstripe=0\n", True),
        ("ext4", "rw\ndata=journal\n", True),
        ("ext4", "rw\ndata=writeback\n", False),
        ("ext4", "rw\nbsddf\n", False),
        ("ext4", None, False),
        ("ext2", "rw\n", False),
        ("vfat", None, False),
    ],
)
def test_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fstype: str, options: str | None, settled: bool
) -> None:
    monkeypatch.setattr(Sysfs, "name", lambda _self, _dev: "sda1")
    if options is not None:
        (tmp_path / "sda1").mkdir()
        (tmp_path / "sda1" / "options").write_text(options)
    assert grow.is_settled(fstype, HERE.dev, str(tmp_path)) == settled


def test_pauses() -> None:
    growth = keeper._Growth()

    def pause(outcome: Outcome) -> float:
        growth.note(outcome)
        return round(growth.not_before - time.monotonic(), 1)

    assert [pause(Outcome.UNUSABLE) for _ in range(9)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert pause(Outcome.GROWN) == 0.0
    assert [pause(Outcome.NO_ROOM) for _ in range(4)] == [0.5, 1.0, 1.0, 1.0]
    assert set(keeper._LONGEST_PAUSE) == set(Outcome)
    assert driver.Origin(0, "", "", False, None).floor_percent == store.FLOOR_PERCENT
