# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine as its distribution's installer leaves it: its own kernel and modules, no compiler, no headers, and a mirror.

The mirror is a directory of the packages that building a module takes, in the image itself, so that nothing depends on a
network inside the guest. Everything else of the bench's own stays in /run and /hotcopy.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.driver.bench.cache import Cache, digest
from tests.driver.bench.chroots import debootstrap
from tests.driver.bench.debian import source_line
from tests.driver.bench.kernels import KernelPackage
from tests.driver.bench.progress import step
from tests.driver.bench.run import in_chroot, run
from tests.driver.bench.userland import make_image

RECIPE = "2"
BASE = (
    *("systemd-sysv", "udev", "kmod", "procps", "util-linux", "mount", "e2fsprogs", "python3", "ca-certificates"),
    "systemd-container",  # for a test that wants to be in one
)  # fmt: skip
MIRROR = Path("srv/mirror")
OFFERED = ("gcc", "make", "dkms")  # and the headers
INIT = Path(__file__).with_name("fresh-init.sh")


def _offer(tree: Path, found: KernelPackage) -> None:
    """Downloads what the guest may install, with all that it depends on there, and makes the index of a flat repository."""
    mirror = tree / MIRROR
    (mirror / "partial").mkdir(parents=True)
    sources = tree / "etc/apt/sources.list"
    sources.write_text("\n".join(map(source_line, found.kernel.releases)) + "\n", encoding="utf-8")
    keyring = tree / "usr/share/keyrings/debian-archive-keyring.gpg"
    keyring.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy("/usr/share/keyrings/debian-archive-keyring.gpg", keyring)
    resolver = tree / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    shutil.copy("/etc/resolv.conf", resolver)
    in_chroot(tree, ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "update"])
    packages = (*OFFERED, f"linux-headers-{found.release}")
    in_chroot(
        tree,
        ["apt-get", "-q", "-y", "--no-install-recommends", "--download-only", "-o", "APT::Sandbox::User=root",
         "-o", f"Dir::Cache::archives=/{MIRROR}", "install", *packages],
        timeout=900,
    )  # fmt: skip
    shutil.rmtree(mirror / "partial")
    (mirror / "lock").unlink(missing_ok=True)
    for package in sorted(mirror.glob("*.deb")):
        _unpress(package)
    (mirror / "Packages").write_text("\n".join(_stanzas(mirror)), encoding="utf-8")
    sources.write_text(f"deb [trusted=yes] file:/{MIRROR} ./\n", encoding="utf-8")
    shutil.rmtree(tree / "var/lib/apt/lists", ignore_errors=True)
    shutil.rmtree(tree / "var/cache/apt", ignore_errors=True)
    (tree / "var/cache/apt/archives/partial").mkdir(parents=True)
    (tree / "var/lib/apt/lists/partial").mkdir(parents=True)


def _unpress(package: Path) -> None:
    """The same package, not compressed: emulated, xz takes longer than everything else that dpkg does."""
    files = package.with_suffix("")
    run(["dpkg-deb", "--raw-extract", package, files])
    run(["dpkg-deb", "--build", "-Znone", "--root-owner-group", files, package])
    shutil.rmtree(files)


def _stanzas(mirror: Path) -> Iterator[str]:
    """One paragraph for each package: its own control file, and where it is."""
    for path in sorted(mirror.glob("*.deb")):
        control = run(["dpkg-deb", "--field", path]).stdout
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        yield f"{control}Filename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {sha256}\n"


def fresh_image(cache: Cache, found: KernelPackage) -> Path:
    """The root file system, with this kernel installed in it as a package."""
    kernel = found.kernel
    packages = (*BASE, found.package)
    key = digest(RECIPE, kernel.suite, found.version, *packages, *OFFERED)

    def build(path: Path) -> None:
        tree = path / "root"
        with step(f"{kernel.name}: image of a fresh machine"):
            debootstrap(tree, kernel.suite, kernel.releases, packages, kernel.pin)
            _offer(tree, found)
            (tree / "etc/machine-id").write_text("uninitialized\n", encoding="ascii")
            make_image(tree, path / "root.ext4", "root", 1400)
            shutil.rmtree(tree)

    return cache.entry("fresh", kernel.name, key, build) / "root.ext4"


def init_files() -> dict[str, str]:
    """What takes the place of the bench's own init in /hotcopy."""
    return {"tests/driver/guest/init": INIT.read_text(encoding="utf-8")}
