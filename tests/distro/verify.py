"""Runs tests of tests/distro/guest against a guest: pytest and testinfra, over its ssh configuration."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.distro.providers.reached import Reached
from tests.distro.rig import StageError
from tests.driver.bench.run import Arg, run

TREE = Path(__file__).resolve().parents[2]
TESTS = TREE / "tests/distro/guest"


def verify(reached: Reached, *files: str) -> str:
    """These files of tests, in this order; what pytest printed. StageError names the tests that failed."""
    argv: list[Arg] = [
        *(sys.executable, "-m", "pytest", "-v", "-rf", "--tb=short", "-p", "no:cacheprovider", "-c", "/dev/null"),
        *(f"--rootdir={TESTS}", f"--confcutdir={TESTS}", "--durations=5", "--color=no"),
        *(f"--ssh-config={reached.config}", f"--hosts=ssh://{reached.host}"),
        *(["--sudo"] if reached.sudo else []),
        *(f"--manager={reached.manager}", f"--driver={reached.driver}", f"--signer={reached.signer}"),
        f"--before={reached.before}",
        *(TESTS / name for name in files),
    ]
    done = run(argv, cwd=TREE, env={"PYTHONPATH": str(TREE)}, check=False, timeout=1500)
    if done.returncode:
        failed = [
            line.split(" - ")[0].removeprefix("FAILED ") for line in done.stdout.splitlines() if line[:7] == "FAILED "
        ]
        what = ", ".join(name.rpartition("::")[2] for name in failed) or f"pytest ended with status {done.returncode}"
        raise StageError(f"failed in the guest: {what}\n{done.stdout}")
    return done.stdout
