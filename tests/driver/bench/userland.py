"""The root file systems that guests boot: a userland per suite."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.driver.bench.cache import Cache, digest
from tests.driver.bench.chroots import build_chroot, debootstrap
from tests.driver.bench.kernels import Kernel, KernelPackage
from tests.driver.bench.progress import step
from tests.driver.bench.run import in_chroot, run

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


def unconfigured_image(cache: Cache, found: KernelPackage) -> Path:
    """The same of another architecture: unpacked, since nothing here can run its packages' scripts, and what they would have made by hand."""
    row = found.kernel
    # Python's code is compiled there: emulated, each guest would spend a minute on that.
    builder = build_chroot(cache, found)
    name = f"{row.suite}-{row.architecture.name}"
    key = digest(RECIPE, row.suite, *row.releases, row.architecture.name, *PACKAGES)

    def build(path: Path) -> None:
        tree = builder / "usr/src/hotcopy" / f"userland-{path.parent.name}"
        tree.parent.mkdir(parents=True, exist_ok=True)
        try:
            with step(f"{name}: userland image"):
                architecture = row.architecture.name
                debootstrap(tree, row.suite, row.releases, PACKAGES, architectures=architecture, unpack_only=True)
                for unneeded in ("doc", "man", "locale"):
                    shutil.rmtree(tree / "usr/share" / unneeded)
                for table in ("passwd", "group"):
                    shutil.copy(tree / f"usr/share/base-passwd/{table}.master", tree / "etc" / table)
                inside = f"/{tree.relative_to(builder)}"
                places = [f"{inside}/usr/lib/{place.name}" for place in (tree / "usr/lib").glob("python3*")]
                in_chroot(builder, ["python3", "-m", "compileall", "-q", "-s", inside, "-p", "/", *places], timeout=600)
                (tree / "lib/modules").mkdir(exist_ok=True)
                make_image(tree, path / "root.ext4", "root", 400)
        finally:
            shutil.rmtree(tree, ignore_errors=True)

    return cache.entry("userland", name, key, build) / "root.ext4"
