"""A kernel compiled from Debian's own source, with the kernel's checkers (debug.config): KASAN, lockdep, kmemleak and others."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.driver.bench.progress import step
from tests.driver.bench.run import CommandError, in_chroot, run

RECIPE = "1"
CONFIG = Path(__file__).with_name("debug.config")
BUILD_TOOLS = ("bc", "bison", "flex", "libelf-dev", "xz-utils")
HOUR = 3600


def not_held(wanted: Iterable[str], made: Iterable[str]) -> list[str]:
    """The settings that Kconfig has dropped, because something they depend on is not there."""
    got = set(made)
    return [line for line in wanted if line.startswith("CONFIG_") and line not in got]


def compile_kernel(root: Path, package: str, release: str) -> None:
    """Install, in a tree that has this linux-source package, the kernel of debug.config, its modules, and what drivers are built with.

    Ten minutes of two cores. CommandError: Kconfig has dropped a setting, or the kernel is not of this release.
    """
    source = root / "usr/src" / package
    inside = f"/usr/src/{package}"
    run(["tar", "-xf", f"{source}.tar.xz", "-C", source.parent])
    shutil.copy(CONFIG, source / "debug.config")
    in_chroot(root, ["make", "-C", inside, "allnoconfig", "KCONFIG_ALLCONFIG=debug.config"])
    wanted, made = CONFIG.read_text(encoding="utf-8"), (source / ".config").read_text(encoding="utf-8")
    lost = not_held(wanted.splitlines(), made.splitlines())
    if lost:
        raise CommandError(f"{CONFIG.name}: Kconfig of {package} does not grant {', '.join(lost)}")
    called = in_chroot(root, ["make", "-s", "-C", inside, "kernelrelease"]).strip()
    if called != release:
        raise CommandError(f"{package} makes {called}, not {release}")
    with step(f"{release}: compile the kernel"):
        in_chroot(root, ["make", "-s", "-j2", "-C", inside, "bzImage", "modules"], timeout=HOUR)
    in_chroot(root, ["make", "-s", "-C", inside, "modules_install"])
    shutil.copy(source / "arch/x86/boot/bzImage", root / "boot" / f"vmlinuz-{release}")
    # Nothing of these is needed to build a driver, and they are most of a gigabyte.
    Path(f"{source}.tar.xz").unlink()
    for path in source.rglob("*.o"):
        if path.relative_to(source).parts[0] not in ("scripts", "tools"):
            path.unlink()
