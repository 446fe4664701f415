"""The kernels the driver is tested on. To add one, add a row."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from tests.driver.bench.architectures import AMD64, ARM64, Architecture
from tests.driver.bench.cache import Cache
from tests.driver.bench.debian import FRESH, Index, NoPackageError, newest, oldest


@dataclass(frozen=True)
class Kernel:
    """A kernel as Debian packages it: where it is found, and which userland it boots."""

    name: str
    suite: str  # the Debian release it is built in, and whose userland it boots
    image: str  # pattern of the whole package name; the newest that fits is taken
    extra: tuple[str, ...] = ()  # further releases to look in
    pin: str = ""  # the release whose linux-* packages win, where apt would not take them
    cpus: int = 1  # of the guests that run the guest tests: see machine.py for why not always two
    source: str = (
        ""  # the package it is compiled from, with debug.config (source.py); the image only tells of which version
    )
    slow: int = 1  # how many times slower than Debian's: every patience is so much longer
    sparse: bool = True  # whether the suite's sparse and the headers package can check modules
    oldest: bool = False  # of the releases that have headers, not the newest: another ABI
    architecture: Architecture = AMD64
    lacks: tuple[str, ...] = ()  # modules that Debian leaves out; tests that need one are marked with its name
    compiler: str = ""  # the package of another architecture's; or apt takes one that only runs there

    @property
    def words(self) -> str:
        """What guests of this kernel have on its command line besides; HOTCOPY_DEBUG_WORDS adds to it (kmemleak=off is quicker)."""
        if not self.source:
            return ""
        # ACPI takes half a minute to find a disk's interrupt there, which nobody uses: disks have MSI.
        return f"bench.slow={self.slow} pci=noacpi {os.environ.get('HOTCOPY_DEBUG_WORDS', '')}".strip()

    @property
    def releases(self) -> tuple[str, ...]:
        """Every release this kernel and what it needs may come from."""
        return (self.suite, f"{self.suite}-security", *self.extra)


IMAGE = "linux-image-"
BACKPORTS = "trixie-backports"


def _backport(series: str) -> Kernel:
    """A series that Debian 13's backports had for a while, and keep."""
    pattern = rf"linux-image-{re.escape(series)}\.\d+\+deb13-amd64"
    return Kernel(series, "trixie", pattern, (BACKPORTS,), pin=BACKPORTS, sparse=False)


KERNELS = (
    Kernel("5.10", "bullseye", r"linux-image-5\.10\.0-\d+-amd64"),
    Kernel("6.1", "bookworm", r"linux-image-6\.1\.0-\d+-amd64", cpus=2),
    Kernel("6.12", "trixie", r"linux-image-6\.12\.\d+\+deb13-amd64"),
    Kernel(
        "7.x",
        "trixie",
        r"linux-image-7\.\d+\.\d+\+deb13-amd64",
        (BACKPORTS,),
        pin=BACKPORTS,
        cpus=2,
        sparse=False,  # it asks for a newer sparse, by a script its headers package leaves out
    ),
)

# With KASAN, lockdep, kmemleak: compiled here, for make debug-kernel. No other command takes it unless it is named.
DEBUG = Kernel(
    "debug", "trixie", r"linux-image-6\.12\.\d+\+deb13-amd64", source="linux-source-6.12", slow=5, sparse=False
)

# For make arm64, emulated and cross-built; likewise.
ARM = Kernel(
    "arm64",
    "trixie",
    r"linux-image-6\.12\.\d+\+deb13-arm64",
    sparse=False,
    architecture=ARM64,
    lacks=("scsi_debug",),
    compiler="gcc-14-aarch64-linux-gnu",
)

# Of these make matrix tries each, in part; make test does not.
FURTHER = (
    Kernel("6.1-oldest", "bookworm", r"linux-image-6\.1\.0-\d+-amd64", oldest=True),
    Kernel("6.1-cloud", "bookworm", r"linux-image-6\.1\.0-\d+-cloud-amd64"),
    Kernel("6.1-rt", "bookworm", r"linux-image-6\.1\.0-\d+-rt-amd64"),
    *map(_backport, ("6.16", "6.17", "6.18", "6.19", "7.0", "7.1", "7.2")),
    Kernel("testing", "forky", r"linux-image-\d+\.\d+\.\d+\+deb14-amd64", sparse=False),
)


@dataclass(frozen=True)
class KernelPackage:
    """A kernel, and the package found for it today."""

    kernel: Kernel
    package: str
    version: str

    @property
    def release(self) -> str:
        """What uname -r will say."""
        if self.kernel.source:
            return f"{self.version.partition('-')[0]}-debug"
        return self.package[len(IMAGE) :]


def by_name(name: str) -> Kernel:
    """The row of this name."""
    known = (*KERNELS, *FURTHER, DEBUG, ARM)
    for kernel in known:
        if kernel.name == name:
            return kernel
    raise LookupError(f"no kernel {name!r}; there are {', '.join(row.name for row in known)}")


def locate(cache: Cache, kernel: Kernel, fresh: float = FRESH) -> KernelPackage:
    """The newest package of this kernel in the suite's index that has headers to build with (or the oldest); else NoPackageError."""
    releases = {release for row in KERNELS for release in row.releases}
    architecture = kernel.architecture.name
    if kernel.architecture is not AMD64:
        index = Index(cache, kernel.releases, f"index-{architecture}", architecture)
    elif releases.issuperset(kernel.releases):
        index = Index(cache, tuple(sorted(releases)))
    else:  # of a suite that only make matrix asks for
        index = Index(cache, kernel.releases, f"index-{kernel.suite}")
    index.refresh(fresh)
    images = list(index.kernels(kernel.releases))
    headers = index.headers(kernel.releases)
    newest(images, kernel.image)  # says so if there is not even an image
    able = (image for image in images if image.name[len(IMAGE) :] in headers)
    try:
        found = (oldest if kernel.oldest else newest)(able, kernel.image)
    except NoPackageError:
        raise NoPackageError(
            f"of {kernel.name} the archive of {kernel.releases[-1]} has images, but no headers to build the driver with"
        ) from None
    return KernelPackage(kernel, found.name, found.version)
