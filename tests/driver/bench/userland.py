"""The root file systems that guests boot: a userland per suite."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.driver.bench.cache import Cache, digest
from tests.driver.bench.chroots import debootstrap
from tests.driver.bench.kernels import Kernel
from tests.driver.bench.progress import step
from tests.driver.bench.run import run

RECIPE = "2"
PACKAGES = (
    "python3", "python3-pytest", "udev", "kmod", "procps", "util-linux", "mount", "fdisk",
    "e2fsprogs", "xfsprogs", "btrfs-progs", "dosfstools", "lvm2", "dmsetup", "mdadm", "fio",
    "strace", "cryptsetup-bin", "thin-provisioning-tools",
)  # fmt: skip


def make_image(tree: Path, image: Path, label: str, spare_mib: int) -> None:
    """An ext4 image of this tree; no loop device, no journal (nobody keeps what is written)."""
    used = run(["du", "-sm", "--apparent-size", tree]).stdout.split()[0]
    size = int(int(used) * 1.15) + spare_mib
    run(
        ["mke2fs", "-q", "-t", "ext4", "-L", label, "-O", "^has_journal,^metadata_csum,^orphan_file",
         "-m", "0", "-N", "100000", "-E", "root_owner=0:0", "-d", tree, image, f"{size}M"],
        timeout=300,
    )  # fmt: skip


def userland_image(cache: Cache, kernel: Kernel, further: tuple[str, ...] = ()) -> Path:
    """The root file system this kernel's guests run, without a kernel; with further packages another one."""
    suite = kernel.suite
    releases = (suite, f"{suite}-security")
    packages = (*PACKAGES, *further)
    name = "-".join((suite, *further[:1]))
    key = digest(RECIPE, suite, *releases, *packages)

    def build(path: Path) -> None:
        tree = path / "root"
        with step(f"{name}: userland image"):
            debootstrap(tree, suite, releases, packages)
            for unneeded in ("var/cache/apt", "var/lib/apt/lists"):
                shutil.rmtree(tree / unneeded, ignore_errors=True)
            (tree / "lib/modules").mkdir(exist_ok=True)
            make_image(tree, path / "root.ext4", "root", 400)
            shutil.rmtree(tree)

    return cache.entry("userland", name, key, build) / "root.ext4"
