"""Takes commands from the host over the results port and answers there."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import termios
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.driver.guest.channel import PORT, send

PYTEST = (
    "python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null",
    "--rootdir=/hotcopy/tests/driver/guest", "--confcutdir=/hotcopy/tests/driver/guest",
    "-p", "tests.driver.guest.plugin",
)  # fmt: skip


def commands(fd: int) -> Iterator[dict[str, Any]]:
    """The host's lines, as they come."""
    pending = b""
    while True:
        pending += os.read(fd, 4096)
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            yield json.loads(line)


def execute(number: int, argv: list[str], timeout: float, stream: bool) -> None:
    """Run a program to its end and report it; its output whole at the end, or as it comes."""
    kept: list[str] = []
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        # The alarm ends the whole session, so that a child holding the pipe cannot keep us.
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, timeout)
        assert process.stdout is not None
        for line in process.stdout:
            text = line.decode(errors="replace")
            if stream:
                send("output", id=number, text=text)
            else:
                kept.append(text)
        status = process.wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
    send("done", id=number, status=status, output="".join(kept))


def spawn(number: int, argv: list[str]) -> None:
    """Start a program that goes on by itself; its output is in /tmp/spawn-PID."""
    with open(f"/tmp/spawn-{number}", "wb") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    send("done", id=number, status=0, output=str(process.pid))


def perform(command: dict[str, Any]) -> None:
    """Carry out one command of the host."""
    number, what = command["id"], command["do"]
    try:
        if what == "run":
            execute(number, command["argv"], command["timeout"], command["stream"])
        elif what == "spawn":
            spawn(number, command["argv"])
        elif what == "pytest":
            job = json.loads(Path("/hotcopy/job.json").read_text(encoding="utf-8"))
            tests = [f"/hotcopy/tests/driver/guest/{test}" for test in job["tests"]]
            execute(number, [*PYTEST, *tests], command["timeout"], False)
        else:
            raise ValueError(what)
    except Exception as error:  # the host must hear of it, whatever it is
        send("done", id=number, status=127, output=repr(error))


def main() -> None:
    """Serve the host until it says poweroff."""
    fd = os.open(PORT, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd, termios.TCSANOW)
    uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    send("ready", release=platform.release(), python=platform.python_version(), uptime=uptime)
    for command in commands(fd):
        if command["do"] == "poweroff":
            taint = int(Path("/proc/sys/kernel/tainted").read_text(encoding="ascii"))
            os.sync()
            send("end", taint=taint)
            return
        perform(command)


if __name__ == "__main__":
    main()
