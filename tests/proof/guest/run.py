# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays the programs of a file, one line of JSON for each: python3 -m tests.proof.guest.run FILE [TIMES].

Lines: {"begin": id} before a program; {"id", "ok", "detail", "seconds", "played", "ended"} after it; a last one
{"end": true, "lost_kib", "total_seconds"}, ``lost_kib`` being what memory did not come back, the driver unloaded.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from tests.driver.guest.commands import run
from tests.driver.guest.memory import kept_for_later, quiet_memory
from tests.driver.guest.pace import SLOW
from tests.driver.guest.plugin import KernelLog
from tests.driver.guest.workload import noise
from tests.proof.guest.engines import ENGINES, Engine
from tests.proof.guest.player import Player
from tests.proof.guest.stage import Scene, anchored, stage

LIMIT = 60.0 * SLOW  # seconds for a program
POOL = 3 << 20
UNANCHORED = 8  # of so many programs one begins without the hook, and ends without it
# Whoever reads a hot copy that has ended is told so, in the log as well.
ALLOWED = (r"I/O error, dev hcp\d", r"Buffer I/O error on dev hcp\d")


def say(**fields: Any) -> None:
    """One line for the host."""
    print(json.dumps(fields), flush=True)


def expire(_signal: int, _frame: FrameType | None) -> None:
    """The program takes too long."""
    raise TimeoutError(f"no end after {LIMIT:.0f} s")


def play(scene: Scene, program: dict[str, Any], engine: Engine, pool: bytes) -> tuple[int, int]:
    """One program, to its end: steps, and hot copies that ended by themselves. MismatchError and others."""
    player = Player(scene, program, engine, pool)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        player.play()
    except BaseException:
        with contextlib.suppress(BaseException):
            player.close()
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    player.close()
    return player.played, player.ended


def available() -> int:
    """KiB, without what this program has yet to give back."""
    gc.collect()
    return quiet_memory()["MemAvailable"] + kept_for_later()


def main() -> int:
    """All of the file, so many times each; a failure does not stop it."""
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    pool = noise(random.Random(1), POOL)
    signal.signal(signal.SIGALRM, expire)
    log = KernelLog()
    # Creation and removal wait mostly for grace periods, and what is freed too early is gone sooner.
    Path("/sys/kernel/rcu_expedited").write_text("1", encoding="ascii")
    begin_all = time.monotonic()
    engines = {name: kind() for name, kind in ENGINES.items()}
    with stage() as made, contextlib.ExitStack() as anchor:
        before = None
        for number, job in enumerate(job for job in jobs for _ in range(times)):
            if number % UNANCHORED == 0:
                anchor.close()
            elif number % UNANCHORED == 1:
                anchor.enter_context(anchored(made.anchor, made.anchor_store))
            say(begin=job["id"])
            begin = time.monotonic()
            played = ended = 0
            detail = ""
            try:
                program = job["program"]
                played, ended = play(made.scenes[program["scene"]], program, engines[program["engine"]], pool)
            except Exception:
                detail = traceback.format_exc()
            bad = log.bad(ALLOWED)
            if bad:
                detail += "\nthe kernel logged:\n" + "\n".join(bad)
            seconds = round(time.monotonic() - begin, 3)
            say(id=job["id"], ok=not detail, detail=detail[-3000:], seconds=seconds, played=played, ended=ended)
            if before is None:  # the first one has loaded what is loaded once
                before = available()
    run("rmmod", "hcpdriver")
    lost = (before or 0) - available()
    say(end=True, lost_kib=lost, total_seconds=round(time.monotonic() - begin_all, 1), cpus=os.cpu_count())
    return 0


if __name__ == "__main__":
    sys.exit(main())
