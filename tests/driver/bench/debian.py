"""Debian's archive as this host's apt is set up to reach it."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from installer.matrix.dpkg_order import dpkg_compare
from tests.driver.bench.cache import Cache
from tests.driver.bench.progress import step
from tests.driver.bench.run import run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FRESH = 12 * 3600  # seconds for which an index is used without asking the mirror again


@dataclass(frozen=True)
class Package:
    """One stanza of a Packages index, as far as the bench needs it."""

    name: str
    version: str


class NoPackageError(LookupError):
    """No package in the index fits."""


@functools.cache
def mirror(label: str) -> str:
    """The URI this host's apt uses for the archive of this label; no host name is built in."""
    override = os.environ.get("HOTCOPY_" + label.upper().replace("-", "_") + "_MIRROR")
    if override:
        return override.rstrip("/")
    listing = run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"]).stdout
    for line in listing.splitlines():
        if line.startswith(f"Debian|{label}|"):
            return line.rsplit("|", 1)[1].rstrip("/")
    if label == "Debian-Security":
        return mirror("Debian") + "-security"  # beside each other on every full mirror
    raise LookupError(f"apt on this host has no source labelled {label}: not a Debian, or no apt-get update yet")


def source_line(release: str) -> str:
    """One line of a sources.list for this release, its signature checked with Debian's keyring."""
    label = "Debian-Security" if release.endswith("-security") else "Debian"
    return f"deb [signed-by={KEYRING}] {mirror(label)} {release} main"


def parse_packages(text: Iterable[str]) -> Iterator[Package]:
    """Name and version of each stanza of a Packages index."""
    name = ""
    for line in text:
        if line.startswith("Package: "):
            name = line[9:].strip()
        elif line.startswith("Version: "):
            yield Package(name, line[9:].strip())


_BY_VERSION = functools.cmp_to_key(dpkg_compare)


def _fitting(packages: Iterable[Package], pattern: str) -> list[Package]:
    """Those whose whole name fits the pattern, the oldest first."""
    fitting = [package for package in packages if re.fullmatch(pattern, package.name)]
    if not fitting:
        raise NoPackageError(f"no package named {pattern}")
    return sorted(fitting, key=lambda package: _BY_VERSION(package.version))


def newest(packages: Iterable[Package], pattern: str) -> Package:
    """The package of the highest version whose whole name fits the pattern; NoPackageError."""
    return _fitting(packages, pattern)[-1]


def oldest(packages: Iterable[Package], pattern: str) -> Package:
    """The package of the lowest version whose whole name fits the pattern; NoPackageError."""
    return _fitting(packages, pattern)[0]


@dataclass(frozen=True)
class Index:
    """The signed package indexes of some releases, kept by apt in a tree of their own."""

    cache: Cache
    releases: tuple[str, ...]
    name: str = "index"  # one for each set of releases: with others the indexes are fetched anew
    architecture: str = "amd64"

    @property
    def _root(self) -> Path:
        return self.cache.root / self.name

    def _options(self) -> list[str]:
        root = self._root
        pairs = {
            "Dir::State": root / "state",
            "Dir::State::status": root / "status",
            "Dir::Cache": root / "cache",
            "Dir::Etc::sourcelist": root / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Sandbox::User": "root",  # the cache may be where _apt cannot go
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "false",  # container images set it
            "Acquire::Retries": "3",
        }
        return [part for key, value in pairs.items() for part in ("-o", f"{key}={value}")]

    def refresh(self, fresh: float = FRESH) -> None:
        """Fetch the indexes unless they are fresh and of the same sources."""
        root, sources = self._root, "\n".join(map(source_line, self.releases)) + "\n"
        stamp, listing = root / "stamp", root / "sources.list"
        with self.cache.lock(self.name):
            same = listing.exists() and listing.read_text() == sources
            if same and stamp.exists() and stamp.stat().st_mtime > time.time() - fresh:
                return
            for directory in ("state/lists/partial", "cache/archives/partial"):
                (root / directory).mkdir(parents=True, exist_ok=True)
            (root / "status").touch()
            listing.write_text(sources)
            stamp.unlink(missing_ok=True)
            with step(f"package indexes of {', '.join(self.releases)}"):
                run(["apt-get", *self._options(), "--error-on=any", "update"], timeout=300)
                self._summarise()
            stamp.touch()

    def _files(self) -> Iterator[tuple[str, Path]]:
        """Each release, and its index as apt keeps it."""
        listing = run(
            ["apt-get", *self._options(), "indextargets", "--format", "$(RELEASE)|$(FILENAME)",
             "Created-By: Packages"]
        ).stdout  # fmt: skip
        for line in listing.splitlines():
            release, _, path = line.partition("|")
            yield release, Path(path)

    def _summarise(self) -> None:
        """Keep the kernels in a file of their own: the indexes are 200 MB of text."""
        with (self._root / "kernels").open("w", encoding="utf-8") as summary:
            for release, path in self._files():
                with path.open(encoding="utf-8") as text:
                    for package in parse_packages(text):
                        if package.name.startswith("linux-image-"):
                            summary.write(f"{release}|{package.name}|{package.version}\n")

    def headers(self, releases: Iterable[str]) -> frozenset[str]:
        """The kernel releases of which these Debian releases have headers: a backport's go before its image does."""
        wanted, listing = set(releases), self._root / "headers"
        with self.cache.lock(self.name):
            if not listing.exists() or listing.stat().st_mtime < (self._root / "kernels").stat().st_mtime:
                lines = []
                for release, path in self._files():
                    with path.open(encoding="utf-8") as text:
                        names = (package.name for package in parse_packages(text))
                        lines += [f"{release}|{name[14:]}\n" for name in names if name.startswith("linux-headers-")]
                listing.write_text("".join(lines), encoding="utf-8")
        rows = (line.split("|") for line in listing.read_text(encoding="utf-8").splitlines())
        return frozenset(name for release, name in rows if release in wanted)

    def kernels(self, releases: Iterable[str]) -> Iterator[Package]:
        """Every kernel package of these releases."""
        wanted = set(releases)
        for line in (self._root / "kernels").read_text(encoding="utf-8").splitlines():
            release, name, version = line.split("|")
            if release in wanted:
                yield Package(name, version)
