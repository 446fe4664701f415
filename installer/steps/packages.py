# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of the distribution: headers, compiler, DKMS, and what hcp calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from installer.detect import headers
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.families.base import Command, Packager
from installer.journal import Journal
from installer.session import Session
from installer.steps.step import Step

_PATIENCE = 3600.0  # seconds: slow mirrors are
_QUERY_PATIENCE = 300.0
_BEFORE = "packages.before"
_KEYS = ("packages", "local-packages", "repository", "settle-packages")  # of the steps that install packages


def installed(session: Session, packager: Packager) -> set[str]:
    """Every package that is installed."""
    said = session.runner.must(*packager.list_installed(), timeout=_QUERY_PATIENCE, listing=True)
    return {line.strip() for line in said.splitlines() if line.strip()}


def call(session: Session, packager: Packager, command: Command, packages: tuple[str, ...]) -> str:
    """Runs a command of the package manager, and returns what it said. InstallError with what its words mean."""
    done = session.runner.run(*command, timeout=_PATIENCE, variables=packager.variables)
    if done.status != 0:
        raise packager.explain(done.said, packages)
    return done.said


def refresh_and_install(session: Session, packager: Packager, packages: tuple[str, ...]) -> None:
    """Fetches the lists and installs. InstallError."""
    said = "".join(call(session, packager, command, packages) for command in packager.refresh())
    try:
        call(session, packager, packager.install(packages), packages)
    except InstallError as error:
        # apt counts a mirror that it did not reach as no failure, and misses packages later.
        earlier = packager.explain(said, packages)
        raise (earlier if earlier.code is ExitCode.NO_NETWORK else error) from error


def is_pending(journal: Journal) -> bool:
    """Whether a run was killed while packages were being installed, so that nobody knows yet which."""
    return (journal.directory / _BEFORE).exists()


def is_broken(journal: Journal) -> bool:
    """Whether packages may be half installed because of us: a run was killed, or the disk was full."""
    return is_pending(journal) or journal.unfinished in _KEYS


def _discard(session: Session, packager: Packager, before: set[str]) -> bool:
    """Removes new packages that are half there and in no repository; whether there were any. InstallError."""
    if not packager.half_installed():
        return False
    said = session.runner.must(*packager.half_installed(), timeout=_QUERY_PATIENCE, listing=True)
    rows = [line.split() for line in said.splitlines()]
    names = tuple(row[1] for row in rows if len(row) > 1 and row[0] == "reinstreq" and row[1] not in before)
    if names:
        call(session, packager, packager.discard(names), names)
    return bool(names)


def _repair(session: Session, packager: Packager, before: set[str]) -> None:
    # The earlier commands may well fail, since what they want to configure lacks what the last one fetches.
    *first, last = packager.repair() or ((),)
    for command in first:
        session.runner.run(*command, timeout=_PATIENCE, variables=packager.variables)
    if not last:
        return
    try:
        call(session, packager, last, ())
    except InstallError:
        if not _discard(session, packager, before):
            raise
        call(session, packager, last, ())


@contextmanager
def recorded(session: Session, packager: Packager, *, repair: bool = False) -> Iterator[None]:
    """Writes down which packages are new afterwards, also those that came along, also after a kill in between."""
    path = session.journal.directory / _BEFORE
    if path.exists():
        # A run before this one was killed while packages were being installed.
        before = set(json.loads(path.read_text(encoding="utf-8")))
    else:
        before = installed(session, packager)
        new = path.with_name(f"{_BEFORE}.new")
        new.write_text(json.dumps(sorted(before)), encoding="utf-8")
        new.replace(path)
    try:
        if repair:
            _repair(session, packager, before)
        yield
    finally:
        added = sorted(installed(session, packager) - before)
        if added:
            session.journal.note("packages", names=added)
        path.unlink()


class InstallPackages(Step):
    """From the distribution's repositories."""

    key = "packages"
    title = "Install packages of the distribution"

    def __init__(
        self, packager: Packager, required: tuple[str, ...], optional: tuple[str, ...], *, pending: bool
    ) -> None:
        self.packager = packager
        self.pending = pending
        self.required = required
        self.optional = optional

    def _commands(self) -> Iterator[Command]:
        if self.required:
            yield from self.packager.refresh()
            yield self.packager.install(self.required)

    @property
    def details(self) -> tuple[str, ...]:
        """The commands."""
        commands = [" ".join(command) for command in self.packager.repair()] if self.pending else []
        commands += [" ".join(command) for command in self._commands()]
        if self.optional:
            commands.append(f"{' '.join(self.packager.install(self.optional))}  # where a repository has it")
        return tuple(commands)

    def run(self, session: Session) -> None:
        """Installs what is required, then tries the rest."""
        with recorded(session, self.packager, repair=self.pending):
            if self.required:
                refresh_and_install(session, self.packager, self.required)
            if self.optional:
                self._try(session)
        release = session.context.system.kernel.release
        if not headers.detect(session.root, release).present:
            raise InstallError(
                f"headers were installed, but of another kernel than the running one ({release})",
                "reboot into the newest installed kernel, then run this again",
                ExitCode.NO_HEADERS,
            )

    def _try(self, session: Session) -> None:
        try:
            call(session, self.packager, self.packager.install(self.optional), self.optional)
        except InstallError as error:
            if error.code is not ExitCode.FAILED:
                raise
            session.progress.line(f"    without {' '.join(self.optional)}: {error.cause}")


class SettlePackages(Step):
    """Ends what a kill interrupted, and finds out which packages came with it."""

    key = "settle-packages"
    title = "End the installation of packages that was interrupted"

    def __init__(self, packager: Packager) -> None:
        self.packager = packager

    @property
    def details(self) -> tuple[str, ...]:
        """The commands."""
        return tuple(" ".join(command) for command in self.packager.repair())

    def run(self, session: Session) -> None:
        """Does it."""
        with recorded(session, self.packager, repair=True):
            pass
