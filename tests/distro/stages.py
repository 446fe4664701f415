"""What each stage does. A stage that fails raises; what it returns is its log."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hotcopy import __version__
from installer import pyz
from tests.distro.cells import Row, Stage
from tests.distro.chain import install, reboot, uninstall
from tests.distro.rig import Rig, StageError, Step
from tests.distro.rows import CURRENT
from tests.driver.bench.bench import Bench
from tests.driver.bench.cache import digest
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.module import build_module
from tests.driver.bench.session import GuestTest, Result, list_tests, run_tests
from tests.packages.building import packages

PACKAGES = ("hotcopy", "hotcopy-dkms", "hotcopy-installer")
LOAD = """set -e
modprobe hcpdriver
grep ^hcpdriver /proc/modules
echo version $(cat /sys/module/hcpdriver/version), taint $(cat /sys/module/hcpdriver/taint)
test -c /dev/hcp
rmmod hcpdriver
if grep ^hcpdriver /proc/modules; then exit 1; fi
"""
NEEDS: Mapping[Stage, tuple[Stage, ...]] = {
    Stage.LOAD: (Stage.BUILD,),
    Stage.SNAPSHOT: (Stage.BUILD, Stage.LOAD),
    Stage.INSTALL: (Stage.RENDER,),
    Stage.REBOOT: (Stage.INSTALL,),
    Stage.UNINSTALL: (Stage.INSTALL,),
}


def carrier(bench: Bench) -> Path:
    """The installer and its libraries, for any Python, in a file that serves as a disk."""
    tree = Path(__file__).resolve().parents[2]
    names = sorted(path for name in ("hotcopy", "installer") for path in (tree / name).rglob("*.py"))
    names.append(tree / "matrix.yaml")
    key = digest("1", *(f"{path.relative_to(tree)}\0{path.read_text(encoding='utf-8')}" for path in names))

    def build(path: Path) -> None:
        program = path / "hotcopy-install.pyz"
        pyz.build(program)
        with tarfile.open(path / "disk.tar", "w") as tar:
            tar.add(program, program.name)

    return bench.cache.entry("installer", "pyz", key, build) / "disk.tar"


def detect(rig: Rig, row: Row) -> str:
    """hotcopy-install, in a booted guest, knows the distribution and the kernel for what they are."""
    disks = (Disk("installer", path=carrier(rig.bench), read_only=True),)
    with Guest(rig.bench, row.guest, Machine(disks=disks), driver=False) as guest:
        guest.run("udevadm settle; tar -x -C /run -f /dev/disk/by-id/virtio-installer")
        said = guest.run("python3 /run/hotcopy-install.pyz report --json", timeout=180, check=False).output
        release = guest.run("uname -r").output.strip()
    try:
        facts = json.loads(said[said.index("{") :])["facts"]
    except (ValueError, KeyError) as error:
        raise StageError(f"no report: {error}\n{said}") from error
    log = "\n".join(f"{name}: {value}" for name, value in facts.items())
    series = row.kernel.partition("-")[0]
    if facts["matrix row"] != row.distro:
        raise StageError(f"taken for {facts['matrix row']}\n{log}")
    if not facts["kernel"].startswith(f"{release}, "):
        raise StageError(f"the kernel is {release}, and was taken for {facts['kernel']}\n{log}")
    if series != CURRENT and not release.startswith(f"{series}."):
        raise StageError(f"the guest's kernel {release} is none of the series {series} that matrix.yaml has\n{log}")
    return log


def render(rig: Rig, row: Row) -> str:
    """hotcopy-install build makes the packages of the row's family: the same for all rows, built once."""
    made = packages(rig.bench.cache)
    place = made / ("deb" if row.packages == "deb" else f"rpm/{row.packages}")
    found = sorted(path for path in place.iterdir() if path.suffix in (".deb", ".rpm") and ".src." not in path.name)
    names = [path.name for path in found]
    if len([name for name in names if __version__ in name]) != len(PACKAGES):
        raise StageError(f"not one package each of {', '.join(PACKAGES)}: {', '.join(names)}")
    return "\n".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in found)


def build(rig: Rig, row: Row) -> str:
    """The driver compiles with W=1, and nothing is said."""
    bench = rig.bench
    built = build_module(bench.cache, bench.prepare(row.guest).found, bench.driver)
    if built.complaints:
        raise StageError("\n".join((f"{len(built.complaints)} warnings with W=1", *built.complaints)))
    return built.log


def load(rig: Rig, row: Row) -> str:
    """The driver goes into the booted kernel, and out of it; the kernel's log stays clean."""
    with Guest(rig.bench, row.guest) as guest:
        return guest.run(LOAD).output


def core() -> list[GuestTest]:
    """The tests of the stage snapshot: the driver's quick ones."""
    tests = [test for test in list_tests(["-m", "quick", "-k", "test_driver"]) if "one_kernel" not in test.marks]
    if not tests:
        raise StageError("there are no quick tests of the driver")
    return tests


def judged(tests: Sequence[GuestTest], results: Sequence[Result]) -> str:
    """The log of a stage in which all of these tests passed; StageError if one did not, or has not been reported."""
    log = "\n".join(f"{result.test}: {result.outcome}, {result.seconds:.1f} s" for result in results)
    bad = [result for result in results if result.outcome != "passed"]
    if bad or {test.name for test in tests} != {result.test for result in results}:
        details = "\n\n".join(f"{result.test}\n{result.detail}" for result in bad)
        raise StageError(f"{len(bad)} of {len(tests)} tests failed, {len(results)} reported\n{log}\n\n{details}")
    return f"{len(tests)} tests passed\n{log}"


def snapshot(rig: Rig, row: Row) -> str:
    """The driver's quick tests."""
    tests, results = core(), list[Result]()
    run_tests(rig.bench, row.guest, tests, results.append)
    return judged(tests, results)


STEPS: Mapping[Stage, Step] = {
    Stage.DETECT: detect,
    Stage.RENDER: render,
    Stage.BUILD: build,
    Stage.INSTALL: install,
    Stage.LOAD: load,
    Stage.SNAPSHOT: snapshot,
    Stage.REBOOT: reboot,
    Stage.UNINSTALL: uninstall,
}
# In a guest of Vagrant's: the other stages need a compiler and the driver's own tests, which are the bench's.
BOX_STEPS: Mapping[Stage, Step] = {
    Stage.RENDER: render,
    Stage.INSTALL: install,
    Stage.REBOOT: reboot,
    Stage.UNINSTALL: uninstall,
}
BOX_PENDING: Mapping[Stage, str] = dict.fromkeys(
    (Stage.DETECT, Stage.BUILD, Stage.LOAD, Stage.SNAPSHOT),
    "not with --provider vagrant: there install loads the driver and takes hot copies",
)
