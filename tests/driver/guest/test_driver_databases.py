# SPDX-License-Identifier: GPL-2.0-or-later
"""A database that is busy when the hot copy is made starts from it: all that was committed is there, nothing in part."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import sqlite3
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.driver.guest.background import Beat, background
from tests.driver.guest.disks import ROOMY, SIZE, filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy, take_bare
from tests.driver.guest.kinds import KINDS

ACCOUNTS, MONEY = 50, 1000
COPIES = 2
ROUNDS = 10


@dataclass
class Bank:
    """Moves money between accounts, one numbered transaction after the other; a task for background()."""

    path: Path
    mode: str  # SQLite's journal_mode

    def __post_init__(self) -> None:
        self.begun = multiprocessing.get_context("fork").RawValue("Q", 0)
        self.committed = multiprocessing.get_context("fork").RawValue("Q", 0)
        with contextlib.closing(self._open(self.path)) as base:
            base.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER NOT NULL)")
            base.execute("CREATE TABLE moved (number INTEGER PRIMARY KEY, what TEXT NOT NULL)")
            base.executemany("INSERT INTO account VALUES (?, ?)", [(number, MONEY) for number in range(ACCOUNTS)])
            base.commit()

    def _open(self, path: Path) -> sqlite3.Connection:
        base = sqlite3.connect(path, isolation_level="DEFERRED")
        assert base.execute(f"PRAGMA journal_mode={self.mode}").fetchone()[0].upper() == self.mode
        base.execute("PRAGMA synchronous=FULL")
        base.execute("PRAGMA wal_autocheckpoint=50")
        return base

    def __call__(self, beat: Beat) -> None:
        """Until told to stop."""
        source = random.Random(1)
        with contextlib.closing(self._open(self.path)) as base:
            while beat():
                number = self.committed.value + 1
                one, other = source.sample(range(ACCOUNTS), 2)
                amount = source.randrange(1, 100)
                self.begun.value = number
                base.execute("UPDATE account SET money = money - ? WHERE id = ?", (amount, one))
                base.execute("UPDATE account SET money = money + ? WHERE id = ?", (amount, other))
                base.execute("INSERT INTO moved VALUES (?, ?)", (number, "x" * source.randrange(2000)))
                base.commit()
                self.committed.value = number

    def check(self, path: Path, least: int, most: int) -> None:
        """A copy of it starts, is sound, and has every transaction up to one of these."""
        with contextlib.closing(self._open(path)) as base:
            assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert base.execute("SELECT sum(money), count(*) FROM account").fetchone() == (ACCOUNTS * MONEY, ACCOUNTS)
            last, count = base.execute("SELECT max(number), count(*) FROM moved").fetchone()
        assert count == last, f"{count} transactions up to number {last}"
        assert least <= last <= most, f"the last transaction is {last}, not {least} to {most}"


# For writing: the filesystem's journal is replayed, and the database's own.
MOUNTED = {"ext4": replace(KINDS["ext4"], copy_options="rw"), "xfs": KINDS["xfs"]}


@pytest.mark.parametrize(("kind", "mode"), [("ext4", "WAL"), ("ext4", "DELETE"), ("xfs", "WAL")])
@pytest.mark.one_kernel
@pytest.mark.timeout(300)
def test_sqlite_starts_from_hot_copies(kind: str, mode: str) -> None:
    source = random.Random(f"{kind} {mode}")
    with partitions(SIZE) as (node,), filesystem(kind, node) as fs:
        bank = Bank(fs.path / "bank", mode)
        taken = []
        with hot_copy(node, *ROOMY), background(bank) as (worker,):
            for _ in range(COPIES):
                worker.wait_rounds(ROUNDS)
                time.sleep(source.random() / 5)
                least = bank.committed.value
                copy = take_bare(node)
                taken.append((copy, least, bank.begun.value))
            assert taken[0][1] >= ROUNDS - 1
            # The writer goes on while the first ones are looked at.
            for copy, least, most in taken:
                with MOUNTED[kind].copy_mounted(copy) as path:
                    bank.check(path / "bank", least, most)
        bank.check(fs.path / "bank", bank.committed.value, bank.begun.value)
