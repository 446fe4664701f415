# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays programs in booted guests, as many boots as it takes: whoever kills a guest is known, the others go on in a new one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest, GuestError
from tests.driver.bench.kernels import by_name
from tests.driver.bench.machine import Disk, Machine
from tests.proof.programs import Program

CASES = Path(__file__).parent / "cases"
DISKS = (Disk("data0", size="256M"), Disk("data1", size="256M"))
SILENCE = 150.0  # seconds without a word after which a guest counts as hung
# Memory that may be missing when all is over: what the kernel keeps for later, and the noise of counting.
LOST_KIB = 12 * 1024


@dataclass(frozen=True)
class Outcome:
    """How one program ended; ``seconds`` in the guest."""

    name: str
    ok: bool
    detail: str
    seconds: float
    played: int  # steps
    ended: int  # hot copies that ended by themselves, as a full store makes them


@dataclass(frozen=True)
class Played:
    """Every outcome; seconds that guests took, boots left out; what memory did not come back, in KiB."""

    outcomes: tuple[Outcome, ...]
    seconds: float  # by the clock
    cpu: float  # of the host's processors
    lost_kib: int

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Those that found something."""
        return tuple(outcome for outcome in self.outcomes if not outcome.ok)


def regression_cases() -> list[tuple[str, Program]]:
    """Programs that once found a fault of the driver, shrunk, by the name of their file."""
    return [(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(CASES.glob("*.json"))]


def _lines(guest: Guest, command: list[str], timeout: float, silence: float) -> Iterator[dict[str, Any]]:
    """What a program in the guest says, line by line, as it says it."""
    guest.send("run", argv=command, timeout=timeout, stream=True)
    pending = ""
    while True:
        event = guest.next_event(silence)
        if event["event"] == "output":
            pending += event["text"]
            while "\n" in pending:
                line, pending = pending.split("\n", 1)
                yield json.loads(line) if line.startswith("{") else {"said": line}
        elif event["event"] == "done":
            if event["status"]:
                raise guest.error(f"{command} ended with {event['status']}: {pending}")
            return


def play_in_guest(
    bench: Bench,
    kernel: str,
    jobs: Sequence[tuple[str, Program]],
    *,
    times: int = 1,
    report: Callable[[Outcome], None] = lambda _outcome: None,
    until: Callable[[Outcome], bool] = lambda _outcome: False,
) -> Played:
    """Every program (named), so many times, on this kernel; ``until`` ends it all early."""
    left = [(f"{name}#{number}" if times > 1 else name, program) for name, program in jobs for number in range(times)]
    outcomes: list[Outcome] = []
    seconds, cpu, lost = 0.0, 0.0, 0

    def settle(outcome: Outcome) -> None:
        outcomes.append(outcome)
        report(outcome)

    while left and not bench.stopped:
        running, said = "", []
        text = json.dumps([{"id": name, "program": program} for name, program in left])
        slow = by_name(kernel).slow
        machine = Machine(disks=DISKS, memory="768M", cpus=by_name(kernel).cpus)
        try:
            with Guest(bench, kernel, machine, files={"programs.json": text}, check=False) as guest:
                command = ["python3", "-m", "tests.proof.guest.run", "/hotcopy/programs.json"]
                spent = guest.cpu_seconds()
                for line in _lines(guest, command, slow * (100 * len(left) + 300), SILENCE * slow):
                    if "begin" in line:
                        running = line["begin"]
                    elif "id" in line:
                        running = ""
                        left = [job for job in left if job[0] != line["id"]]
                        outcome = Outcome(
                            line["id"], line["ok"], line["detail"], line["seconds"], line["played"], line["ended"]
                        )
                        settle(outcome)
                        seconds += outcome.seconds
                        if until(outcome):
                            guest.kill()
                            return Played(tuple(outcomes), seconds, cpu, lost)
                    elif "end" in line:
                        lost = max(lost, line["lost_kib"])
                        cpu += guest.cpu_seconds() - spent
                    else:
                        said.append(line["said"])
                guest.ask_checkers()
        except GuestError as error:
            detail = "\n".join([*said, str(error)])
            if not running:
                settle(Outcome("guest", False, detail, 0, 0, 0))
                break
            left = [job for job in left if job[0] != running]
            settle(Outcome(running, False, detail, 0, 0, 0))
            if until(outcomes[-1]):
                break
            continue
        if left:
            settle(Outcome("guest", False, f"{len(left)} programs were not played:\n" + "\n".join(said), 0, 0, 0))
            break
    return Played(tuple(outcomes), seconds, cpu, lost)
