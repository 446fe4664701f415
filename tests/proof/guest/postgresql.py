# SPDX-License-Identifier: GPL-2.0-or-later
"""PostgreSQL under load on a filesystem of which hot copies are made: python3 -m tests.proof.guest.postgresql KIND COPIES SEED.

Several clients move money; each numbers its transactions and notes, in memory shared with us, which it has begun and
which the server has acknowledged. A server started from a hot copy recovers as after a power cut; of every client it
must have each transaction that was acknowledged before the hot copy, none begun after it, none in part.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import pwd
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.driver.guest.background import Beat, background
from tests.driver.guest.commands import eventually
from tests.driver.guest.disks import MIB, filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy, remove, take_bare
from tests.driver.guest.kinds import COPY
from tests.driver.guest.plugin import KernelLog

SIZE = 768 * MIB
STORE = ("--store-size", "256M")
CLIENTS, ACCOUNTS, MONEY = 4, 100, 1000
ROUNDS = 25  # of each client before the next hot copy
OPTIONS = {
    "ext4": "rw",  # the filesystem's journal is replayed
    "xfs": "nouuid",
}
# Checkpoints often, so that hot copies meet them; what is written after one has whole pages, which is what saves torn ones.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",
    "shared_buffers": "16MB",
    "min_wal_size": "32MB",
    "max_wal_size": "48MB",
    "checkpoint_timeout": "30s",
    "checkpoint_completion_target": "0.5",
    "autovacuum_naptime": "5s",
    "log_min_messages": "warning",
}


def program(name: str) -> str:
    """One of the server's own programs."""
    return str(max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))


def as_postgres(*argv: str, timeout: float = 120) -> str:
    """A program that runs as postgres and must succeed: what it says."""
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=timeout, user="postgres",
        cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


@dataclass(frozen=True)
class Server:
    """A data directory, and a directory for the server's socket."""

    data: Path
    socket: Path

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Started, and stopped in the end."""
        self.socket.mkdir(exist_ok=True)
        os.chown(self.socket, *owner())
        options = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in SETTINGS.items())
        log = self.socket / "log"
        control = (program("pg_ctl"), "-D", str(self.data), "-w", "-t", "100")
        try:
            as_postgres(*control, "-l", str(log), "-o", f"-k {self.socket} {options}", "start")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text() if log.exists() else ''}") from error
        yield
        as_postgres(*control, "-m", "fast", "stop")

    def connect(self) -> Any:
        """A connection as postgres' superuser."""
        return importlib.import_module("psycopg2").connect(host=str(self.socket), user="postgres", dbname="postgres")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of one query."""
        with contextlib.closing(self.connect()) as base:
            cursor = base.cursor()
            cursor.execute(query)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
            base.commit()
            return rows


def owner() -> tuple[int, int]:
    """The user and the group of the server."""
    entry = pwd.getpwnam("postgres")
    return entry.pw_uid, entry.pw_gid


class Client:
    """Moves money, one numbered transaction after the other; a task for background()."""

    def __init__(self, server: Server, number: int) -> None:
        self.server, self.number = server, number
        self.begun = multiprocessing.get_context("fork").RawValue("Q", 0)
        self.committed = multiprocessing.get_context("fork").RawValue("Q", 0)

    def __call__(self, beat: Beat) -> None:
        """Until told to stop."""
        source = random.Random(self.number)
        with contextlib.closing(self.server.connect()) as base:
            cursor = base.cursor()
            while beat():
                number = self.committed.value + 1
                one, other = sorted(
                    source.sample(range(ACCOUNTS), 2)
                )  # in order, or clients wait for each other for ever
                amount = source.randrange(-100, 100)
                self.begun.value = number
                cursor.execute("UPDATE account SET money = money - %s WHERE id = %s", (amount, one))
                cursor.execute("UPDATE account SET money = money + %s WHERE id = %s", (amount, other))
                what = "x" * source.randrange(3000)
                cursor.execute("INSERT INTO moved VALUES (%s, %s, %s)", (self.number, number, what))
                base.commit()
                self.committed.value = number


def prepare(server: Server) -> None:
    """A new database with its tables; pages have checksums."""
    server.data.mkdir(mode=0o700)
    os.chown(server.data, *owner())
    as_postgres(program("initdb"), "-D", str(server.data), "-A", "trust", "--data-checksums", "-E", "UTF8")
    with server.running():
        server.ask("CREATE EXTENSION amcheck")
        server.ask("CREATE TABLE account (id int PRIMARY KEY, money int NOT NULL)")
        server.ask("CREATE TABLE moved (client int, number int, what text NOT NULL, PRIMARY KEY (client, number))")
        server.ask(f"INSERT INTO account SELECT id, {MONEY} FROM generate_series(0, {ACCOUNTS - 1}) AS id")


def check(server: Server, least: list[int], most: list[int]) -> int:
    """A running server has every transaction of each client up to one of these, and is sound: how many. AssertionError."""
    assert server.ask("SELECT sum(money), count(*) FROM account") == [(ACCOUNTS * MONEY, ACCOUNTS)]
    rows = server.ask("SELECT client, count(*), min(number), max(number) FROM moved GROUP BY client ORDER BY client")
    assert [row[0] for row in rows] == list(range(CLIENTS)), rows
    for client, count, first, last in rows:
        assert (first, count) == (1, last), f"client {client}: {count} transactions, numbers {first} to {last}"
        assert least[client] <= last <= most[client], f"client {client}: {last}, not {least[client]} to {most[client]}"
    for table in ("account", "moved"):
        assert not server.ask(f"SELECT * FROM verify_heapam('{table}', check_toast => true)"), table
        server.ask(f"SELECT bt_index_check('{table}_pkey', true)")
    return sum(row[1] for row in rows)


@contextlib.contextmanager
def mounted(node: str, kind: str) -> Iterator[Path]:
    """A hot copy, mounted for writing."""
    where = Path(COPY)
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(("mount", "-t", kind, "-o", OPTIONS[kind], node, str(where)), check=True, timeout=100)
    try:
        yield where
    finally:
        assert eventually(lambda: subprocess.call(("umount", str(where)), stderr=subprocess.DEVNULL) == 0)


def start_from(node: str, kind: str, least: list[int], most: list[int]) -> int:
    """A server recovers from this hot copy and is complete, every page of it sound: how many transactions."""
    with mounted(node, kind) as path:
        server = Server(path / "data", Path("/run/pg-copy"))
        (server.data / "postmaster.pid").unlink()  # of a server that is not this one's
        with server.running():
            count = check(server, least, most)
        as_postgres(program("pg_checksums"), "--check", "-D", str(server.data))
    return count


def prove(kind: str, copies: int, seed: int) -> dict[str, object]:
    """So many hot copies at random moments; figures. AssertionError."""
    source = random.Random(seed)
    log = KernelLog()
    counts = []
    with partitions(SIZE) as (node,), filesystem(kind, node) as fs:
        server = Server(fs.path / "data", Path("/run/pg"))
        prepare(server)
        clients = [Client(server, number) for number in range(CLIENTS)]
        with server.running(), hot_copy(node, *STORE):
            with background(*clients) as workers:
                for _ in range(copies):
                    for worker in workers:
                        worker.wait_rounds(ROUNDS)
                    time.sleep(source.random())
                    least = [client.committed.value for client in clients]
                    copy = take_bare(node)
                    most = [client.begun.value for client in clients]
                    counts.append(start_from(copy, kind, least, most))
                    print(
                        json.dumps({"copy": copy, "transactions": counts[-1], "open": sum(most) - sum(least)}),
                        flush=True,
                    )
                    remove(copy)
            last = [client.committed.value for client in clients]
            assert check(server, last, last) == sum(last)
    bad = log.bad()
    assert not bad, bad
    return {"kind": kind, "copies": copies, "transactions": counts[-1]}


def main() -> int:
    """A line for each hot copy, and one in the end."""
    print(json.dumps(prove(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
