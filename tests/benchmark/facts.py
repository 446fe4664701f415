# SPDX-License-Identifier: GPL-2.0-or-later
"""Where and when a run was made."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

from tests.driver.bench.run import run

TREE = Path(__file__).resolve().parents[2]


def processor() -> str:
    """Its name."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def commit() -> str:
    """The tree that was measured, marked when it is not as committed."""
    done = run(["git", "-C", TREE, "describe", "--always", "--dirty"], check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def facts(accelerator: str) -> dict[str, str]:
    """As they are at the beginning."""
    version = run(["qemu-system-x86_64", "--version"]).stdout.split("\n")[0]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit(),
        "host": f"{os.cpu_count()} CPUs, {processor()}; Linux {platform.release()}",
        "guest machine": f"{version}, {accelerator}, 1 CPU, 1024 MiB",
    }


def load() -> float:
    """The host's load average of the last five minutes."""
    return os.getloadavg()[1]
