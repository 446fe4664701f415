# SPDX-License-Identifier: GPL-2.0-or-later
"""What every family of distributions can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from installer.detect.kernel import Kernel
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.families.failures import COMMON, Symptom

Command = tuple[str, ...]


@dataclass(frozen=True)
class Repository:
    """What hotcopy-install publish has made."""

    url: str  # of the directory that has apt/ and yum/, without a slash at its end
    target: str  # below yum/: "el9"; "" for apt


@dataclass(frozen=True)
class ConfigFile:
    """A file that a step writes."""

    path: str
    text: str


class Packager(ABC):
    """Names of packages and the commands of a package manager; nothing here runs anything."""

    manager: str  # the program that fetches and installs
    suffix: str  # of package files: ".deb"
    symptoms: tuple[Symptom, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()  # of the environment, so that nothing is asked

    @abstractmethod
    def headers(self, kernel: Kernel) -> tuple[str, ...]:
        """The packages with the headers of exactly this kernel."""

    def compiler(self, kernel_compiler: str) -> tuple[str, ...]:
        """What compiles a module."""
        return (kernel_compiler, "make") if kernel_compiler == "gcc" else ("clang", "lld", "make")

    def dkms(self) -> tuple[str, ...]:
        """What builds it again for later kernels; tried, and done without where it is in no repository."""
        return ("dkms",)

    def python(self) -> tuple[str, ...]:
        """A Python that runs hcp."""
        return ("python3",)

    python_path = "/usr/bin/python3"  # of what python() installs

    @abstractmethod
    def refresh(self) -> tuple[Command, ...]:
        """Fetches the lists of packages."""

    @abstractmethod
    def install(self, packages: Sequence[str]) -> Command:
        """Installs packages by name, or files by path."""

    def install_files(self, files: Sequence[str]) -> Command:
        """Installs files that hotcopy-install build has made: they have no signature."""
        return self.install(files)

    @abstractmethod
    def remove(self, packages: Sequence[str]) -> Command:
        """Removes packages and what they configured."""

    @abstractmethod
    def list_installed(self) -> Command:
        """Prints the installed packages, one a line, each so that remove() understands it."""

    def trust(self, path: str) -> tuple[Command, ...]:
        """Makes a key known to the package manager, where its repository's definition is not enough."""
        return ()

    def distrust(self, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[Command, ...]]:
        """Of these names of list_installed() those that are packages, and the commands that remove the others."""
        return tuple(names), ()

    def repair(self) -> tuple[Command, ...]:
        """What an installation that was killed may need first."""
        return ()

    def half_installed(self) -> Command:
        """Prints "reinstreq NAME" for packages that a kill left useless until their file is there again; () where that cannot be."""
        return ()

    def discard(self, packages: Sequence[str]) -> Command:
        """Removes what half_installed() lists."""
        return self.remove(packages)

    @abstractmethod
    def repository_files(self, repository: Repository, key: str) -> tuple[ConfigFile, ...]:
        """What makes the package manager know a repository; ``key`` is where its key has been put."""

    @abstractmethod
    def key_path(self) -> str:
        """Where the key of our repository belongs."""

    def explain(self, said: str, packages: Sequence[str]) -> InstallError:
        """What a failure means, in our words."""
        for row in (*self.symptoms, *COMMON):
            match = row.pattern.search(said)
            if match is not None:
                found = next((word for word in match.groups() if word), "")
                return InstallError(row.cause.format(found=found), row.remedy.format(found=found), row.code)
        last = " | ".join(line.strip() for line in said.strip().splitlines()[-3:])
        return InstallError(
            f"{self.manager} failed: {last or 'it said nothing'}",
            f"try it by hand: {' '.join(self.install(packages))}",
            ExitCode.FAILED,
        )
